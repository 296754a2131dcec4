//! Who is served when: what each class has room for, and who waits.

mod class_queue;
mod gate;
mod queue;

pub use class_queue::is_worth_a_write;
pub use gate::Gate;
pub use queue::Admission;
