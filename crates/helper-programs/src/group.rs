//! A program together with what it starts: one process group, ended as one. A program that hangs
//! often hangs in one it has started, which would go on alone. It must never know what they do.

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// The group of a running program. Dropping it ends all of it, unless it was let go.
#[derive(Debug)]
pub struct ProcessGroup(Option<Pid>);

impl ProcessGroup {
    /// Makes what is started by the command the leader of a group of its own.
    pub fn prepare(command: &mut Command) -> &mut Command {
        command.process_group(0)
    }

    /// The group of a child of a command that was prepared.
    #[must_use]
    pub fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }

    /// Ends all of it at once.
    pub fn end(&mut self) {
        if let Some(leader) = self.0.take() {
            // Nobody may be left.
            let _ = kill_process_group(leader, Signal::KILL);
        }
    }

    /// Leaves what the program has started alone: it ended as it should, and what goes on goes on
    /// by its wish.
    pub fn let_go(&mut self) {
        self.0 = None;
    }
}

impl Drop for ProcessGroup {
    fn drop(&mut self) {
        self.end();
    }
}
