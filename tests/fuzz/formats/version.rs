//! Versions, two a line: their order is rpm's. And Debian's versions and relations.

use std::cmp::Ordering;
use std::path::Path;
use std::process::{Command, Stdio};

use lustre_distro::{depends, version};
use lustre_repository::repodata::Evr;

use crate::{Case, Format, ParseOutcome, message};

pub(super) struct Version;

impl Format for Version {
    fn name(&self) -> &'static str {
        "version"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![
            Case::good(
                "kernels",
                "4.18.0-553.22.1.el8_lustre 4.18.0-553.22.1.el8_10\n5.14.0-687 5.14.0-687.1\n",
            ),
            Case::good(
                "marks",
                "1.0~rc1-1 1.0-1\n1.0^git1 1.0\n1.0~ 1.0^\n1~~a 1~\n",
            ),
            Case::good(
                "zeroes",
                "1.00-1 1.0-1\n0001 1\n1.010 1.10\n1.a 1.1\n10abc 10\n",
            ),
            Case::good("epochs", "1:1-1 2-1\n0:1 1\n:1 1\n"),
            Case::good(
                "marks in odd places",
                "1:2.36-9+0x10:1 2.36-9+0x10:1\n:1:2 x:1\n1-2-3 1-2-\n",
            ),
            Case::good("Debian's", "1:2.36-9+deb12u10 2.36-9\n"),
            Case::good(
                "relations",
                "libc6 (>= 2.34), debconf | debconf-2.0, python3:any",
            ),
        ]
    }

    fn hostile(&self) -> Vec<Case> {
        vec![
            Case::either(
                "a megabyte of digits",
                format!("{0} {0}1\n", "1".repeat(500_000)),
            ),
            Case::either(
                "a megabyte of marks",
                format!("{0} {0}~\n", "~".repeat(500_000)),
            ),
            Case::either("many parts", format!("{0} {0}a\n", "1.".repeat(250_000))),
        ]
    }

    fn words(&self) -> &'static [&'static str] {
        &[
            "~",
            "^",
            "~~",
            "^^",
            ".",
            "-",
            ":",
            "0",
            "00",
            "a",
            "Z",
            "rc1",
            "+",
            "_",
            "1a1",
            " (>= 1)",
            " (<< 1:2~)",
            " | ",
            ", ",
        ]
    }

    fn check(&self, input: &[u8], _: &Path) -> Result<ParseOutcome, String> {
        let text = super::text(input);
        let mut refused = String::new();
        let (mut read, mut pairs) = (Vec::new(), Vec::new());
        for line in text.lines() {
            if let Err(error) = depends::parse(line) {
                refused = message(&error);
            }
            let words: Vec<&str> = line.split_whitespace().collect();
            for word in &words {
                if let Err(error) = version::Evr::from_debian(word) {
                    refused = message(&error);
                }
            }
            if let [a, b] = words[..]
                && let (Some(one), Some(two)) = (Evr::parse(a), Evr::parse(b))
            {
                order(&one, &two)?;
                read.extend([(a, one.clone()), (b, two.clone())]);
                pairs.push((one, two));
            }
        }
        parts_as_rpm(&read)?;
        as_rpm(&pairs)?;
        let relations = text.contains(',') && depends::parse(&text).is_ok();
        if pairs.is_empty() && !relations && !refused.is_empty() {
            Ok(ParseOutcome::Refused(refused))
        } else {
            Ok(ParseOutcome::Accepted)
        }
    }
}

/// What an order has to keep, whatever is compared.
fn order(a: &Evr, b: &Evr) -> Result<(), String> {
    if a.compare(a) != Ordering::Equal {
        return Err(format!("`{a}` is not equal to itself"));
    }
    if a.compare(b) != b.compare(a).reverse() {
        return Err(format!(
            "`{a}` to `{b}` is {:?}, and {:?} the other way",
            a.compare(b),
            b.compare(a)
        ));
    }
    match Evr::parse(&a.to_string()) {
        Some(again) if again.compare(a) == Ordering::Equal => Ok(()),
        again => Err(format!("`{a}` is read again as {again:?}")),
    }
}

/// That rpm finds the same parts in the texts.
fn parts_as_rpm(read: &[(&str, Evr)]) -> Result<(), String> {
    let read: Vec<_> = read
        .iter()
        .filter(|(text, _)| is_plain(text, b".~^+_:-"))
        .take(50)
        .collect();
    let texts: Vec<_> = read.iter().map(|(text, _)| *text).collect();
    // A bar is in no version, and keeps empty parts.
    let asked = texts.iter().map(|text| {
        format!("do local v = rpm.ver('{text}') print((v.e or '0')..'|'..v.v..'|'..(v.r or '')..'\\n') end")
    });
    let Some(said) = ask_rpm(asked, texts.len())? else {
        return Ok(());
    };
    for ((text, evr), said) in read.into_iter().zip(said) {
        let release = evr.release.as_deref().unwrap_or_default();
        let ours = format!("{}|{}|{release}", evr.epoch, evr.version);
        // rpm keeps an epoch's zeroes.
        let (epoch, rest) = said.split_once('|').unwrap_or_default();
        if epoch.parse().ok() != Some(evr.epoch) || !ours.ends_with(&format!("|{rest}")) {
            return Err(format!("`{text}` is {ours} for us and {said} for rpm"));
        }
    }
    Ok(())
}

/// Whether rpm can be asked about a text in a line of Lua.
fn is_plain(text: &str, marks: &[u8]) -> bool {
    (1..200).contains(&text.len())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || marks.contains(&byte))
}

/// rpm's answers to `count` lines of Lua, all of them by one process; none where there is no rpm.
fn ask_rpm(
    asked: impl Iterator<Item = String>,
    count: usize,
) -> Result<Option<Vec<String>>, String> {
    if count == 0 {
        return Ok(None);
    }
    let run = Command::new("rpm")
        .arg("--eval")
        .arg(format!("%{{lua: {}}}", asked.collect::<Vec<_>>().join(" ")))
        .stdin(Stdio::null())
        .output();
    let Ok(out) = run else {
        return Ok(None);
    };
    let said: Vec<String> = String::from_utf8_lossy(&out.stdout)
        .split_whitespace()
        .map(str::to_owned)
        .collect();
    if said.len() != count {
        return Err(format!(
            "rpm answers {} of {count}: {}",
            said.len(),
            String::from_utf8_lossy(&out.stderr)
        ));
    }
    Ok(Some(said))
}

/// That rpm orders the versions in the same way.
fn as_rpm(pairs: &[(Evr, Evr)]) -> Result<(), String> {
    let plain = |evr: &Evr| is_plain(&evr.version, b".~^+_");
    let pairs: Vec<_> = pairs
        .iter()
        .filter(|(a, b)| plain(a) && plain(b))
        .take(50)
        .collect();
    let asked = pairs
        .iter()
        .map(|(a, b)| format!("print(rpm.vercmp('{}', '{}'), ' ')", a.version, b.version));
    let Some(said) = ask_rpm(asked, pairs.len())? else {
        return Ok(());
    };
    for ((a, b), said) in pairs.into_iter().zip(said) {
        let alone = |evr: &Evr| Evr {
            epoch: 0,
            version: evr.version.clone(),
            release: None,
        };
        let ours = alone(a).compare(&alone(b));
        let theirs = said.parse::<i32>().map(|said| said.cmp(&0));
        if theirs != Ok(ours) {
            return Err(format!(
                "`{}` to `{}` is {ours:?} for us and {said} for rpm",
                a.version, b.version
            ));
        }
    }
    Ok(())
}
