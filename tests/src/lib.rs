//! What the component and end-to-end tests share.

pub mod http;
