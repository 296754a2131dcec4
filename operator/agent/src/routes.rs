//! Every request to the agent: the operator's on the agent's own paths, and the clients'.

use std::sync::Arc;

use net::request::{IncomingRequest, incoming_request};
use warp::{Filter, reply::Response};

use crate::{
    operator_api::{self, Operation},
    remote_end,
    state::AgentState,
};

/// One filter that takes any request. Which command it is, is WebDriver's to say: warp's own routes would answer 405 where
/// WebDriver wants 404.
pub fn routes(
    state: Arc<AgentState>,
) -> impl Filter<Extract = (Response,), Error = warp::Rejection> + Clone {
    incoming_request().then(move |incoming| dispatch(state.clone(), incoming))
}

async fn dispatch(state: Arc<AgentState>, incoming: IncomingRequest) -> Response {
    let trusted = incoming.connection.is_authenticated();
    match Operation::of(&incoming, trusted) {
        // Large, and no command waits in it.
        Some(operation) => Box::pin(operator_api::handle(&state, operation, incoming)).await,
        None => remote_end::handle(&state, incoming, trusted).await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_waits_in_is_small() {
        fn size<A, B, F: Future>(_: impl Fn(A, B) -> F) -> usize {
            size_of::<F>()
        }
        let size = size(dispatch);
        assert!(size <= 4 << 10, "{size} bytes");
    }
}
