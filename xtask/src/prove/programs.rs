//! Asking programs in the chroot that may fail.

use lustre_packaging::process;
use lustre_repository::program_output::ProgramOutput;

use super::chroot::Step;

impl Step<'_> {
    /// Runs a program that may fail.
    pub fn try_program(&self, program: &str, arguments: &[&str]) -> Result<ProgramOutput, String> {
        let mut command = self.sandbox().command(program, arguments);
        let done = process::capture(&mut command).map_err(|error| error.to_string())?;
        Ok(ProgramOutput::new(done.status, &done.stdout, &done.stderr))
    }

    /// Asks the chroot's own dnf something, with our repository where the proof has it.
    pub fn ask_dnf(&self, arguments: &[&str]) -> Result<ProgramOutput, String> {
        let options = self.options();
        let mut line = vec!["--quiet", "--releasever=1"];
        line.extend(options.iter().map(String::as_str));
        line.extend(arguments);
        self.try_program("dnf", &line)
    }
}
