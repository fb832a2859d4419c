//! A program with all that it starts.

use tokio::process::Child;

/// The first process of a group, and with it the group: killed when nobody waits for it any more.
///
/// What leaves the group, by a session of its own, is not killed with it.
#[derive(Debug)]
pub(crate) struct Group(pub(crate) Child);

impl Group {
    /// Kills all that are in it. Where there are no groups, its first process is killed as it is dropped.
    pub(crate) fn kill(&self) {
        #[cfg(unix)]
        if let Some(id) = self.id() {
            let _ = rustix::process::kill_process_group(id, rustix::process::Signal::KILL);
        }
    }

    /// The group's id, for as long as nobody has collected the end of its first process: until then the number is nobody else's.
    #[cfg(unix)]
    fn id(&self) -> Option<rustix::process::Pid> {
        let id = i32::try_from(self.0.id()?).ok()?;
        rustix::process::Pid::from_raw(id)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill();
    }
}
