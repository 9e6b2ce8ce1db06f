//! A process that ends with its owner, or earlier by SIGKILL.

use std::process::{Child, Command, ExitStatus};
use std::time::{Duration, Instant};

use crate::Result;

/// How often it is looked whether a process has ended.
const LOOK: Duration = Duration::from_millis(5);

pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let child = command.spawn();
        Ok(Self(child.map_err(|err| {
            format!("{}: {err}", command.get_program().display())
        })?))
    }

    pub(crate) fn child(&mut self) -> &mut Child {
        &mut self.0
    }

    /// Tells how it ended, if it has.
    pub(crate) fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.0.try_wait()?)
    }

    /// Waits until it has ended, at most so long.
    pub(crate) fn wait(&mut self, patience: Duration) -> Result<Option<ExitStatus>> {
        let begun = Instant::now();
        loop {
            match self.ended()? {
                None if begun.elapsed() < patience => std::thread::sleep(LOOK),
                ended => return Ok(ended),
            }
        }
    }

    /// Kills it: nothing in it runs any more when this returns.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.0.kill()?;
        self.0.wait()?;
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // One that has ended already is no matter.
        self.kill().ok();
    }
}
