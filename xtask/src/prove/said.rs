//! Asking programs in the chroot that may fail.

use lustre_packaging::process;
use lustre_repository::said::Said;

use super::chroot::Step;

impl Step<'_> {
    /// Runs a program that may fail.
    pub fn judged(&self, program: &str, arguments: &[&str]) -> Result<Said, String> {
        let mut command = self.sandbox().command(program, arguments);
        let done = process::capture(&mut command).map_err(|error| error.to_string())?;
        Ok(Said::new(done.status, &done.stdout, &done.stderr))
    }

    /// Asks the chroot's own dnf something, with our repository where the proof has it.
    pub fn dnf_says(&self, arguments: &[&str]) -> Result<Said, String> {
        let options = self.options();
        let mut line = vec!["--quiet", "--releasever=1"];
        line.extend(options.iter().map(String::as_str));
        line.extend(arguments);
        self.judged("dnf", &line)
    }
}
