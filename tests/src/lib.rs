//! What the component and end-to-end tests share.

pub mod command_line;
