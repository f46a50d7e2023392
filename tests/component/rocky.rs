//! Targets of Enterprise Linux from their distribution's mirrors to the repository, on a stand-in for these.

use anyhow::Result;
use lustre_repo_tests::stand_in::base::Base;

#[test]
fn base() -> Result<()> {
    println!("{:?}", Base::open()?);
    Ok(())
}
