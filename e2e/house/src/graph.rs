//! Groups of nodes that reach each other, and the shortest circle of each.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

pub type Graph = BTreeMap<usize, BTreeSet<usize>>;

/// The strongly connected components of more than one node.
pub fn components(graph: &Graph) -> Vec<BTreeSet<usize>> {
    let reached: BTreeMap<usize, BTreeSet<usize>> =
        graph.keys().map(|node| (*node, reachable(graph, *node))).collect();
    let mut components: Vec<BTreeSet<usize>> = Vec::new();
    for (node, reaches) in &reached {
        if components.iter().any(|component| component.contains(node)) {
            continue;
        }
        let component: BTreeSet<usize> = reaches
            .iter()
            .copied()
            .filter(|other| reached.get(other).is_some_and(|back| back.contains(node)))
            .collect();
        if component.len() > 1 {
            components.push(component);
        }
    }
    components
}

/// What can be reached from `start` in one step or more.
fn reachable(graph: &Graph, start: usize) -> BTreeSet<usize> {
    let mut seen = BTreeSet::new();
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        for to in graph.get(&node).into_iter().flatten() {
            if seen.insert(*to) {
                next.push(*to);
            }
        }
    }
    seen
}

/// A shortest circle within a component: its nodes in order, the first not repeated.
pub fn shortest_circle(graph: &Graph, component: &BTreeSet<usize>) -> Vec<usize> {
    component
        .iter()
        .filter_map(|start| circle_through(graph, component, *start))
        .min_by_key(Vec::len)
        .unwrap_or_default()
}

fn circle_through(graph: &Graph, component: &BTreeSet<usize>, start: usize) -> Option<Vec<usize>> {
    let mut came_from = BTreeMap::new();
    let mut next = VecDeque::from([start]);
    while let Some(node) = next.pop_front() {
        for to in graph.get(&node).into_iter().flatten().filter(|to| component.contains(to)) {
            if *to == start {
                let mut circle: Vec<usize> =
                    std::iter::successors(Some(node), |node| came_from.get(node).copied())
                        .collect();
                circle.reverse();
                return Some(circle);
            }
            if !came_from.contains_key(to) {
                came_from.insert(*to, node);
                next.push_back(*to);
            }
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn graph(edges: &[(usize, usize)]) -> Graph {
        let mut graph = Graph::new();
        for (from, to) in edges {
            graph.entry(*from).or_default().insert(*to);
        }
        graph
    }

    #[test]
    fn a_chain_has_no_circle() {
        assert!(components(&graph(&[(1, 2), (2, 3), (1, 3)])).is_empty());
    }

    #[test]
    fn the_shortest_circle_of_a_component_is_found() {
        let graph = graph(&[(1, 2), (2, 3), (3, 1), (3, 4), (4, 3), (4, 5)]);
        let components = components(&graph);
        assert_eq!(components, [BTreeSet::from([1, 2, 3, 4])]);
        assert_eq!(shortest_circle(&graph, &components[0]), [3, 4]);
    }
}
