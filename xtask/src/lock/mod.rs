//! What every command does before it builds: a current lock, and every pinned file in the store.
//!
//! - [`current`](mod@current): the lock there is, or a new one.
//! - [`debian`]: locks of distributions made of Debian's packages; [`repositories`]: of existing ones.
//! - [`fetch`](mod@fetch): the pinned files into the store.
//! - [`misfit`](mod@misfit): what is known not to go together.

mod current;
mod debian;
mod fetch;
mod misfit;
mod repositories;

pub use current::{answers, current, find, none, of_target, path, resolve, write};
pub use fetch::{PinScope, fetch, fetch_of_others, missing, share_files};
pub use misfit::misfit;
pub use repositories::checked;
