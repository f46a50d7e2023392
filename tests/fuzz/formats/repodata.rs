//! Repodata: `repomd.xml`, `primary.xml`, `filelists.xml`, as we verify them and as sources are found in them.

use std::fs;
use std::path::Path;

use lustre_packaging::untrusted;
use lustre_repository::closure::{Universe, rich};
use lustre_repository::repodata;
use sha2::{Digest, Sha256};

use super::{gzip, gzip_bomb};
use crate::{Case, Format, ParseOutcome, message};

const REPOMD: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<repomd xmlns="http://linux.duke.edu/metadata/repo" xmlns:rpm="http://linux.duke.edu/metadata/rpm">
  <revision>1700000000</revision>
  <data type="primary">
    <checksum type="sha256">PRIMARYSUM</checksum>
    <open-checksum type="sha256">PRIMARYSUM</open-checksum>
    <location href="repodata/primary.xml"/>
    <timestamp>1700000000.25</timestamp>
    <size>PRIMARYSIZE</size>
    <open-size>PRIMARYSIZE</open-size>
  </data>
  <data type="filelists">
    <checksum type="sha256">FILELISTSSUM</checksum>
    <location href="repodata/filelists.xml"/>
    <timestamp>1700000000</timestamp>
    <size>FILELISTSSIZE</size>
  </data>
</repomd>
"#;

const PRIMARY: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<metadata xmlns="http://linux.duke.edu/metadata/common" xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="2">
<package type="rpm">
  <name>lustre</name>
  <arch>x86_64</arch>
  <version epoch="0" ver="2.17.0" rel="1.el9"/>
  <checksum type="sha256" pkgid="YES">aa</checksum>
  <summary>Servers &amp; &lt;more&gt;</summary>
  <description>Two
lines</description>
  <packager/>
  <url>https://example.org</url>
  <time file="1" build="2"/>
  <size package="10" installed="20" archive="30"/>
  <location href="Packages/lustre-2.17.0-1.el9.x86_64.rpm"/>
  <format>
    <rpm:license>GPL</rpm:license>
    <rpm:vendor/>
    <rpm:group>System</rpm:group>
    <rpm:buildhost>builder</rpm:buildhost>
    <rpm:sourcerpm>lustre-2.17.0-1.el9.src.rpm</rpm:sourcerpm>
    <rpm:header-range start="100" end="200"/>
    <rpm:provides>
      <rpm:entry name="lustre" flags="EQ" epoch="0" ver="2.17.0" rel="1.el9"/>
      <rpm:entry name="ksym(x)" flags="EQ" ver="0x12"/>
    </rpm:provides>
    <rpm:requires>
      <rpm:entry name="/bin/sh" pre="1"/>
      <rpm:entry name="(kernel if (a or b &gt;= 2) else c)"/>
    </rpm:requires>
    <rpm:obsoletes>
      <rpm:entry name="old" flags="LT" epoch="1" ver="3"/>
    </rpm:obsoletes>
    <file>/etc/lustre.conf</file>
    <file type="dir">/etc/lustre</file>
  </format>
</package>
<package type="rpm">
  <name>kernel</name>
  <arch>src</arch>
  <version epoch="1" ver="5.14.0" rel="687.el9"/>
  <checksum type="sha256" pkgid="YES">e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855</checksum>
  <summary>The kernel</summary>
  <description/>
  <packager/>
  <url/>
  <time file="1" build="2"/>
  <size package="10" installed="20" archive="30"/>
  <location href="Packages/kernel-5.14.0-687.el9.src.rpm"/>
  <format>
    <rpm:header-range start="1" end="2"/>
  </format>
</package>
</metadata>
"#;

const FILELISTS: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<filelists xmlns="http://linux.duke.edu/metadata/filelists" packages="2">
<package pkgid="aa" name="lustre" arch="x86_64">
  <version epoch="0" ver="2.17.0" rel="1.el9"/>
  <file>/etc/lustre.conf</file>
  <file type="dir">/etc/lustre</file>
  <file type="ghost">/var/lib/lustre</file>
</package>
<package pkgid="e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" name="kernel" arch="src">
  <version epoch="1" ver="5.14.0" rel="687.el9"/>
  <file>kernel.spec</file>
</package>
</filelists>
"#;

const WORDS: &[&str] = &[
    "<package>",
    "</package>",
    "<package type=\"rpm\">",
    "<file>",
    "</file>",
    "<a>",
    "</a>",
    "<a/>",
    "<!--",
    "-->",
    "<![CDATA[",
    "]]>",
    "<?x?>",
    "&lt;",
    "&#10;",
    "&#0;",
    "&#x110000;",
    "&#xd800;",
    "&lol;",
    "<!DOCTYPE a [<!ENTITY lol \"lol\">]>",
    "xml:base=\"http://x\"",
    "href=\"../../x\"",
    "href=\"/etc/passwd\"",
    "href=\"http://x\"",
    "type=\"sha256\"",
    "type=\"sha512\"",
    "type=\"md5\"",
    "flags=\"EQ\"",
    "flags=\"XX\"",
    "epoch=\"99999999999\"",
    "pkgid=\"aa\"",
    "packages=\"0\"",
    "rpm:entry",
    "metadata",
    "repomd",
    "filelists",
    "primary",
    "group_gz",
    "<rpm:requires>",
    "</rpm:requires>",
    "<name>",
    "<version ver=\"1\"/>",
];

/// Documents that are trouble as XML, whatever is in them.
fn trouble(root: &str, inside: &str) -> Vec<Case> {
    let nested = |depth: usize| {
        format!(
            "<{root}>{}{}</{root}>",
            "<a>".repeat(depth),
            "</a>".repeat(depth)
        )
    };
    let laughs = {
        let mut text = String::from("<!DOCTYPE x [<!ENTITY a0 \"ha\">");
        for n in 1..30 {
            text.push_str(&format!(
                "<!ENTITY a{n} \"&a{0};&a{0};&a{0};&a{0};&a{0};&a{0};&a{0};&a{0};&a{0};&a{0};\">",
                n - 1
            ));
        }
        format!("{text}]><{root}>{inside}&a29;</{root}>")
    };
    let outside = format!(
        "<!DOCTYPE x [<!ENTITY e SYSTEM \"file:///etc/passwd\">]><{root}>{inside}&e;</{root}>"
    );
    let attributes = {
        let many: String = (0..100_000).map(|n| format!(" a{n}=\"1\"")).collect();
        format!("<{root}><{inside}{many}/></{root}>")
    };
    vec![
        Case::bad("empty", ""),
        Case::bad("another root", "<html/>"),
        Case::bad("a billion laughs", laughs),
        Case::bad("an entity from a file", outside),
        Case::either("elements 100,000 deep", nested(100_000)),
        Case::either("a hundred thousand attributes", attributes),
        Case::either(
            "a name of a megabyte",
            format!("<{root}><{0}></{0}></{root}>", "n".repeat(1 << 20)),
        ),
        Case::either(
            "a text of eight megabytes",
            format!(
                "<{root}><{inside}>{}</{inside}></{root}>",
                "t".repeat(8 << 20)
            ),
        ),
        Case::bad(
            "a comment without an end",
            format!("<{root}><!--{}", "-".repeat(1 << 20)),
        ),
        Case::bad(
            "half a tag, many times",
            format!("<{root}>{}", "<a ".repeat(200_000)),
        ),
        Case::bad(
            "UTF-16",
            format!("<{root}/>")
                .encode_utf16()
                .flat_map(u16::to_le_bytes)
                .collect::<Vec<_>>(),
        ),
    ]
}

/// A repository of these two files, with `index` as its repomd.xml, where PRIMARYSUM and so on stand for their digests and sizes.
fn repository(folder: &Path, index: &str, primary: &[u8], filelists: &[u8]) -> Result<(), String> {
    let sum = |bytes: &[u8]| format!("{:x}", Sha256::digest(bytes));
    let index = index
        .replace("PRIMARYSUM", &sum(primary))
        .replace("PRIMARYSIZE", &primary.len().to_string())
        .replace("FILELISTSSUM", &sum(filelists))
        .replace("FILELISTSSIZE", &filelists.len().to_string());
    let repodata = folder.join("repodata");
    fs::create_dir_all(&repodata)
        .and_then(|()| fs::write(repodata.join("repomd.xml"), index))
        .and_then(|()| fs::write(repodata.join("primary.xml"), primary))
        .and_then(|()| fs::write(repodata.join("filelists.xml"), filelists))
        .map_err(|error| error.to_string())
}

/// The index without what is said of the decompressed content, for files that are compressed.
fn index_of_compressed() -> String {
    REPOMD
        .lines()
        .filter(|line| !line.contains("open-"))
        .collect::<Vec<_>>()
        .join("\n")
}

fn read(folder: &Path) -> Result<ParseOutcome, String> {
    let metadata = match repodata::read(folder) {
        Ok(metadata) => metadata,
        Err(error) => return Ok(ParseOutcome::Refused(message(&error))),
    };
    for package in &metadata.packages {
        for entry in &package.requires {
            if let Ok(requirement) = rich::of_entry(entry) {
                requirement.to_string();
            }
        }
    }
    let universe = Universe::new(&metadata.packages, []);
    for missing in universe.missing() {
        missing.to_string();
    }
    Ok(ParseOutcome::Accepted)
}

pub(super) struct Repomd;

impl Format for Repomd {
    fn name(&self) -> &'static str {
        "repomd"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two files", REPOMD)]
    }

    fn hostile(&self) -> Vec<Case> {
        let out = |href: &str| REPOMD.replace("repodata/filelists.xml", href);
        let many = REPOMD.replace(
            "</repomd>",
            &(0..20_000)
                .map(|n| {
                    format!("<data type=\"t{n}\"><location href=\"repodata/primary.xml\"/></data>")
                })
                .chain(["</repomd>".to_owned()])
                .collect::<String>(),
        );
        let mut cases = trouble("repomd", "data");
        cases.extend([
            Case::bad("out of the repository", out("../../etc/passwd")),
            Case::bad("from the root", out("/etc/passwd")),
            Case::bad("a device", out("../../../../../../../../dev/zero")),
            Case::bad(
                "a digest that proves nothing",
                REPOMD.replace("type=\"sha256\"", "type=\"md5\""),
            ),
            Case::bad("no primary", REPOMD.replace("\"primary\"", "\"secondary\"")),
            Case::bad("twenty thousand files without a digest", many),
        ]);
        cases
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        // The other reader, which finds sources and the files for dnf.
        let found = untrusted::repomd(input);
        repository(
            folder,
            &super::text(input),
            PRIMARY.as_bytes(),
            FILELISTS.as_bytes(),
        )?;
        match (read(folder)?, found) {
            (ParseOutcome::Refused(one), Err(other)) => {
                Ok(ParseOutcome::Refused(format!("{one}\n{other}")))
            }
            (judged, _) => Ok(judged),
        }
    }
}

pub(super) struct Primary;

impl Format for Primary {
    fn name(&self) -> &'static str {
        "primary"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two packages", PRIMARY)]
    }

    fn hostile(&self) -> Vec<Case> {
        let with = |text: &str| PRIMARY.replace("(kernel if (a or b &gt;= 2) else c)", text);
        let nested = |depth: usize| with(&format!("{}a{}", "(".repeat(depth), ")".repeat(depth)));
        let chain =
            |depth: usize| with(&format!("{}a{}", "(b if ".repeat(depth), ")".repeat(depth)));
        let wide = with(&format!("(a{})", " or a".repeat(100_000)));
        let mut cases = trouble("metadata", "package");
        cases.extend([
            Case::either("a requirement 880 deep", nested(880)),
            Case::either("a requirement 10,000 deep", nested(10_000)),
            Case::either("a requirement 100,000 deep", nested(100_000)),
            Case::either("conditions 10,000 deep", chain(10_000)),
            Case::either("a requirement of 100,000 alternatives", wide),
            Case::either(
                "parentheses in a name",
                with(&format!("({}", "a(".repeat(100_000))),
            ),
            Case::either(
                "512 MiB of blanks",
                gzip_bomb(b"<metadata packages=\"0\">", b' ', b"</metadata>"),
            ),
            Case::either(
                "512 MiB of a name",
                gzip_bomb(b"<metadata packages=\"0\"><", b'n', b"/></metadata>"),
            ),
            Case::either(
                "512 MiB of a text",
                gzip_bomb(
                    b"<metadata packages=\"1\"><package><name>",
                    b'n',
                    b"</name></package></metadata>",
                ),
            ),
            Case::either(
                "512 MiB of an attribute",
                gzip_bomb(b"<metadata packages=\"", b'1', b"\"/>"),
            ),
            Case::either(
                "512 MiB of a comment",
                gzip_bomb(b"<metadata packages=\"0\"><!--", b'x', b"--></metadata>"),
            ),
            Case::either(
                "512 MiB of elements that are opened",
                gzip_bomb(b"<metadata packages=\"0\">", b'<', b"</metadata>"),
            ),
            Case::either("packed twice", gzip(&gzip(PRIMARY.as_bytes()))),
        ]);
        cases
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let found = untrusted::source_packages(input, "kernel");
        let index = if input.starts_with(b"<") {
            REPOMD.to_owned()
        } else {
            index_of_compressed()
        };
        repository(folder, &index, input, FILELISTS.as_bytes())?;
        match (read(folder)?, found) {
            (ParseOutcome::Refused(one), Err(other)) => {
                Ok(ParseOutcome::Refused(format!("{one}\n{other}")))
            }
            (judged, _) => Ok(judged),
        }
    }
}

pub(super) struct Filelists;

impl Format for Filelists {
    fn name(&self) -> &'static str {
        "filelists"
    }

    fn seeds(&self) -> Vec<Case> {
        vec![Case::good("two packages", FILELISTS)]
    }

    fn hostile(&self) -> Vec<Case> {
        let mut cases = trouble("filelists", "package");
        let many: String = (0..200_000).map(|n| format!("<file>/{n}</file>")).collect();
        let twice = FILELISTS.replace("<file>/etc/lustre.conf</file>", "<package pkgid=\"aa\"/>");
        cases.extend([
            Case::either(
                "two hundred thousand files",
                FILELISTS.replace("<file>/etc/lustre.conf</file>", &many),
            ),
            Case::either("a package in a package", twice),
            Case::either(
                "512 MiB of blanks",
                gzip_bomb(b"<filelists packages=\"0\">", b' ', b"</filelists>"),
            ),
            Case::either(
                "512 MiB of a path",
                gzip_bomb(
                    b"<filelists><package pkgid=\"aa\"><file>/",
                    b'x',
                    b"</file></package></filelists>",
                ),
            ),
        ]);
        cases
    }

    fn words(&self) -> &'static [&'static str] {
        WORDS
    }

    fn check(&self, input: &[u8], folder: &Path) -> Result<ParseOutcome, String> {
        let index = if input.starts_with(b"<") {
            REPOMD.to_owned()
        } else {
            index_of_compressed()
        };
        repository(folder, &index, PRIMARY.as_bytes(), input)?;
        read(folder)
    }
}
