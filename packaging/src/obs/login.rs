//! Who asks. The password is in no argument, no error and no log: curl reads it from its standard input.

use std::path::Path;

use super::Error;
use super::variables::{PASSWORD_FILE_VARIABLE, USER_VARIABLE};
use crate::process::secrets::{self, OBS_PASSWORD_VARIABLE};
use crate::sign::Secret;

/// A user and a password.
#[derive(Debug, Clone)]
pub struct Login {
    user: String,
    password: Secret,
}

impl Login {
    /// What the environment says; none where it names no user.
    pub fn of_environment() -> Result<Option<Self>, Error> {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        let file = variable(PASSWORD_FILE_VARIABLE);
        let given = secrets::value(OBS_PASSWORD_VARIABLE).is_some_and(|value| !value.is_empty());
        let Some(user) = variable(USER_VARIABLE) else {
            if file.is_some() || given {
                return Err(Error::Login {
                    problem: format!(
                        "there is a password for an OBS, and {USER_VARIABLE} is not set"
                    ),
                    help: "set it to the user's name",
                });
            }
            return Ok(None);
        };
        let password = match file {
            Some(path) => Secret::from_file(Path::new(&path))?,
            None if given => Secret::from_variable(OBS_PASSWORD_VARIABLE)?,
            None => {
                return Err(Error::Login {
                    problem: format!("{USER_VARIABLE} is set, and there is no password"),
                    help: "set LUSTRE_REPO_OBS_PASSWORD_FILE to a file with it",
                });
            }
        };
        Self::new(&user.to_string_lossy(), password).map(Some)
    }

    /// A user with a password.
    pub fn new(user: &str, password: Secret) -> Result<Self, Error> {
        let bad = |problem: &str| Error::Login {
            problem: problem.to_owned(),
            help: "correct it",
        };
        if user.is_empty() || user.contains(|c: char| c == ':' || c.is_control()) {
            return Err(bad(
                "the user's name for the OBS is empty, or has a colon or a control character",
            ));
        }
        let text = std::str::from_utf8(password.bytes());
        if text.map_or(true, |text| {
            text.is_empty() || text.contains(char::is_control)
        }) {
            return Err(bad(
                "the password for the OBS is empty, not UTF-8, or has a control character",
            ));
        }
        Ok(Self {
            user: user.to_owned(),
            password,
        })
    }

    /// The line of curl's configuration that says so.
    pub(super) fn line(&self) -> String {
        let password = String::from_utf8_lossy(self.password.bytes());
        let quoted = |text: &str| text.replace('\\', "\\\\").replace('"', "\\\"");
        format!("user = \"{}:{}\"\n", quoted(&self.user), quoted(&password))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_stays_on_its_line_and_is_not_shown() {
        let login = Login::new("me", Secret::new("a\"b\\c")).unwrap();
        assert_eq!(login.line(), "user = \"me:a\\\"b\\\\c\"\n");
        assert!(!format!("{login:?}").contains("a\\\"b"));
        for (user, password) in [
            ("me", "a\nb"),
            ("m:e", "x"),
            ("", "x"),
            ("me", ""),
            ("m\ne", "x"),
        ] {
            let error = Login::new(user, Secret::new(password))
                .unwrap_err()
                .to_string();
            assert!(error.contains("for the OBS"), "{error}");
        }
    }
}
