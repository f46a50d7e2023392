//! Where the environment says who asks.

/// The environment variable with the user's name.
pub const USER_VARIABLE: &str = "LUSTRE_REPO_OBS_USER";

/// The environment variable that names the file with the password.
pub const PASSWORD_FILE_VARIABLE: &str = "LUSTRE_REPO_OBS_PASSWORD_FILE";
