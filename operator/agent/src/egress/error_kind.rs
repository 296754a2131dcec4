/// What browsers call a failure that they see themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorKind {
    pub chrome: &'static str,
    pub firefox: &'static str,
}
