//! What the component and end-to-end tests share.

pub mod chance;
pub mod command_line;
pub mod createrepo;
pub mod debian;
pub mod folder;
pub mod github;
pub mod gpg;
pub mod http;
pub mod json_schema;
pub mod little;
pub mod loopback;
pub mod nginx;
pub mod obs_backend;
pub mod obs_stub;
pub mod python;
pub mod repodata_diff;
pub mod rpm_corpus;
pub mod s3;
pub mod script;
pub mod secret_search;
pub mod small_disk;
pub mod stand_in;
pub mod started;
pub mod tool_code;
pub mod version_order;
pub mod workflow;
