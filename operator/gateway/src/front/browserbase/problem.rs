//! Problems as Browserbase renders them.

use http::StatusCode;
use serde_json::{Value, json};

use crate::front::hosted::problem::Problem;

/// Its status and body.
pub fn render(problem: &Problem) -> (StatusCode, Value) {
    let status = problem.status(StatusCode::BAD_REQUEST);
    let error = status.canonical_reason().unwrap_or_default();
    let body = json!({"statusCode": status.as_u16(), "error": error, "message": problem.message()});
    (status, body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn browserbase_has_its_own_shape() {
        let problem = Problem::invalid(&["body", "pages", "0", "id"], "missing", "Field required");
        assert_eq!(
            render(&problem),
            (
                StatusCode::BAD_REQUEST,
                json!({"statusCode": 400, "error": "Bad Request", "message": "pages.0.id: Field required"})
            )
        );
        assert_eq!(render(&Problem::OutOfCapacity("no room".to_owned())).1["message"], "no room");
    }
}
