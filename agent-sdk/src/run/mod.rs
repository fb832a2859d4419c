//! Running an agent.

mod report;

pub use report::RunReport;
/// Stand-in.
#[derive(Debug)]
pub struct RunError;
impl RunError {
    /// r
    pub fn report(&self) {}
}
