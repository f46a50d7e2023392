//! Scriptlets that fail. rpm only warns of most of them, and dnf goes on and ends well: the package is there, and what its scriptlet
//! would have done (an initial RAM disk, an entry of the boot menu, a user) is not.

/// Those that failed in what dnf and rpm said: each once, as rpm names it (`%posttrans(kernel-core-5.14.0-1.x86_64)`), with the line.
fn failed(said: &str) -> Vec<(&str, &str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for line in said.lines().filter(|line| line.contains("failed")) {
        // A scriptlet's own words without a line break at their end stand in front of rpm's.
        for name in line
            .match_indices('%')
            .filter_map(|(at, _)| named(&line[at..]))
        {
            if found.iter().all(|(other, _)| *other != name) {
                found.push((name, line.trim()));
            }
        }
    }
    found
}

/// The scriptlet that a text begins with the name of.
fn named(text: &str) -> Option<&str> {
    let open = text.find('(')?;
    let kind = &text[1..open];
    if kind.is_empty() || !kind.bytes().all(|byte| byte.is_ascii_lowercase()) {
        return None;
    }
    let close = text.find(')')?;
    (open < close).then(|| &text[..=close])
}

/// What is wrong with the packages `ours` (names with version and release, without epoch) by what dnf and rpm said. A scriptlet of the
/// distribution's own is the distribution's.
pub fn findings(said: &str, ours: &[String]) -> Vec<String> {
    failed(said)
        .into_iter()
        .filter(|(scriptlet, _)| {
            let package = scriptlet.split(['(', ')']).nth(1).unwrap_or_default();
            // rpm leaves out an epoch of 0 and says any other: NAME-EPOCH:VERSION-RELEASE.ARCH.
            let plain = package
                .rsplit_once(':')
                .and_then(|(front, evr)| Some(format!("{}-{evr}", front.rsplit_once('-')?.0)));
            let plain = plain.as_deref().unwrap_or(package);
            ours.iter().any(|one| one == plain)
        })
        .map(|(scriptlet, line)| format!("the scriptlet {scriptlet} failed: {line}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lines of rpm 4.18 and dnf 4.14 about a transaction.
    const SAID: &str = "\
  Running scriptlet: kernel-core-5.14.0-570.32.1_lustre.el9_6.x86_64      64/64 \n\
/boot/initrd.img-5.14.0 does not exist, not installing an initrd\n\
warning: %posttrans(kernel-core-5.14.0-570.32.1_lustre.el9_6.x86_64) scriptlet failed, exit status 1\n\
\n\
Error in POSTTRANS scriptlet in rpm package kernel-core\n\
error: lua script failed: [string \"%post(lustre-2:2.17.0-1.x86_64)\"]:1: attempt to call a nil value\n\
warning: %post(lustre-2:2.17.0-1.x86_64) scriptlet failed, signal 9\n\
depmod: 50% donewarning: %preun(lustre-2:2.17.0-1.x86_64) scriptlet failed, exit status 1\n\
warning: %triggerin(of-the-base-1-1.noarch) scriptlet failed, exit status 2\n\
100% (of it) failed\n";

    #[test]
    fn a_scriptlet_of_ours_that_fails_is_found_although_dnf_ends_well() {
        let ours = [
            "kernel-core-5.14.0-570.32.1_lustre.el9_6.x86_64".to_owned(),
            "lustre-2.17.0-1.x86_64".to_owned(),
        ];
        let found = findings(SAID, &ours);
        assert_eq!(found.len(), 3, "{found:?}");
        assert_eq!(
            found[0],
            "the scriptlet %posttrans(kernel-core-5.14.0-570.32.1_lustre.el9_6.x86_64) failed: warning: \
             %posttrans(kernel-core-5.14.0-570.32.1_lustre.el9_6.x86_64) scriptlet failed, exit status 1"
        );
        assert!(
            found[1]
                .starts_with("the scriptlet %post(lustre-2:2.17.0-1.x86_64) failed: error: lua")
        );
        assert_eq!(findings(SAID, &[]), [] as [&str; 0]);
        assert_eq!(
            findings("%post(lustre-2.17.0-1.x86_64) is fine", &ours),
            [] as [&str; 0]
        );
    }
}
