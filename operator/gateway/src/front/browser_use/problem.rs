//! Problems as Browser Use renders them: FastAPI's shape, with pydantic's kinds of fault.

use http::StatusCode;
use serde_json::{Value, json};

use crate::front::hosted::problem::Problem;

/// Its status and body.
pub fn render(problem: &Problem) -> (StatusCode, Value) {
    let status = problem.status(StatusCode::UNPROCESSABLE_ENTITY);
    let detail = match problem {
        Problem::Invalid(faults) => faults
            .iter()
            .map(|fault| json!({"loc": loc(&fault.path), "msg": fault.message, "type": fault.kind}))
            .collect(),
        Problem::Refused(message) => json!([{
            "loc": ["body"], "msg": message, "type": "value_error",
        }]),
        _ => problem.message().into(),
    };
    (status, json!({"detail": detail}))
}

/// Indices are numbers there.
fn loc(path: &[String]) -> Vec<Value> {
    path.iter()
        .map(|part| part.parse::<u64>().map_or_else(|_| part.clone().into(), Into::into))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browser_use_has_its_own_shape() {
        let problem = Problem::invalid(&["body", "pages", "0", "id"], "missing", "Field required");
        assert_eq!(
            render(&problem),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                json!({"detail": [{"loc": ["body", "pages", 0, "id"], "msg": "Field required", "type": "missing"}]})
            )
        );
        assert_eq!(
            render(&Problem::OutOfCapacity("no room".to_owned())),
            (StatusCode::TOO_MANY_REQUESTS, json!({"detail": "no room"}))
        );
    }
}
