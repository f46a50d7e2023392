//! A package, from its sources to what was collected.

use std::path::Path;

use super::{Again, Api, Collected, Error, Pace, Sources, State, Wanted, collect, package, wait};

/// A package that is to be built.
#[derive(Debug)]
pub struct Build<'b> {
    /// What is wanted of it; what its sources are called is found out.
    pub wanted: Wanted<'b>,
    /// `_meta` of the package, where it is not there.
    pub meta: &'b str,
    pub sources: &'b Sources,
    pub pace: Pace,
    /// The file that gets the log of the build.
    pub log: &'b Path,
}

/// Submits it, waits for it, and collects it into the new folder `into`, with the list of what it was built with in the file `list`. What is
/// there of the same sources and was built with something else than it may have been is built anew, once; it is removed there only where the
/// service takes the new build for unchanged.
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
    let once = |again: Again| {
        wait(api, place, &submitted, again, *pace, build.log, tell)?;
        collect(&api.through(pace.outage), &wanted, into, list)
    };
    let anew = |error: &Error, how: &str| {
        tell(&State {
            code: "to be built anew".to_owned(),
            details: format!("{how}: {error}"),
        });
    };
    let mut done = once(Again::Failed);
    // What is there is of an earlier time of the base project or of the configuration. What was built just now is not.
    if let Err(error @ Error::BuiltWith { .. }) = &done
        && submitted.unchanged
    {
        anew(error, "what is there stays until it is built");
        done = once(Again::Rebuild);
    }
    if let Err(error @ Error::Unchanged { .. }) = &done {
        anew(error, "what is there is removed");
        done = once(Again::Wipe);
    }
    done
}
