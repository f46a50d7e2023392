//! A package, from its sources to what was collected.

use std::path::Path;

use super::{Api, Collected, Error, Pace, Sources, State, Wanted, collect, package, wait};

/// A package that is to be built.
#[derive(Debug)]
pub struct Build<'b> {
    /// What is wanted of it; what its sources are called is found out.
    pub wanted: Wanted<'b>,
    /// `_meta` of the package, where it is not there.
    pub meta: &'b str,
    pub sources: &'b Sources,
    /// Whether what is there of the same sources was built otherwise than it would be now.
    pub anew: bool,
    pub pace: Pace,
    /// The file that gets the log of the build.
    pub log: &'b Path,
}

/// Submits it, waits for it, and collects it into the new folder `into`, with the list of what it was built with in the file `list`. What is
/// there of the same sources and was built with something else than it may have been is built anew, once.
pub fn built(
    api: &Api,
    build: &Build<'_>,
    (into, list): (&Path, &Path),
    tell: &dyn Fn(&State),
) -> Result<Collected, Error> {
    let Build { wanted, pace, .. } = build;
    let place = wanted.place;
    let submitted = package(
        api,
        &place.project,
        &place.package,
        build.meta,
        build.sources,
    )?;
    if !submitted.unchanged {
        tell(&State {
            code: "submitted".to_owned(),
            details: format!("sources {}", submitted.srcmd5),
        });
    }
    let wanted = Wanted {
        srcmd5: &submitted.srcmd5,
        ..*wanted
    };
    let once = |anew: bool| {
        wait(api, place, &submitted, anew, *pace, build.log, tell)?;
        collect(&api.through(pace.outage), &wanted, into, list)
    };
    let anew = build.anew && submitted.unchanged;
    match once(anew) {
        // What is there is of an earlier time of the base project or of the configuration. What was built just now is not.
        Err(error @ Error::BuiltWith { .. }) if submitted.unchanged && !anew => {
            tell(&State {
                code: "to be built anew".to_owned(),
                details: error.to_string(),
            });
            once(true)
        }
        Err(Error::Unchanged { .. }) if !anew => once(true),
        result => result,
    }
}
