//! A server with upstream's own builds moves to ours: a stand-in for upstream's repositories, with the names, versions, layout and lack of
//! signatures that those have, and our repository beside it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::clients::Dnf;
use super::world::{Spec, Tree, run, succeed};

/// Kernels of upstream's: of an earlier minor release, of the same build as ours, and of a later one.
const OLDER: &str = "5.14.0-503.11.1_lustre.el9";
const SAME: &str = "5.14.0-570.58.1_lustre.el9";
const NEWER: &str = "5.14.0-611.13.1_lustre.el9";

/// What is in ours.
const OURS: Versions = Versions {
    kernel: "5.14.0-570.58.1_lustre.el9_6",
    lustre: "2.17.0-1.el9",
    e2fsprogs: "1.47.3-100.wc2.el9",
    symbol: 2,
};

/// What a server with upstream's builds installs, as upstream's documentation has it.
const SERVER: [&str; 7] = [
    "kernel",
    "kmod-lustre",
    "kmod-lustre-osd-ldiskfs",
    "lustre-osd-ldiskfs-mount",
    "lustre",
    "lustre-resource-agents",
    "e2fsprogs",
];

#[derive(Clone, Copy)]
struct Versions {
    kernel: &'static str,
    lustre: &'static str,
    e2fsprogs: &'static str,
    /// The checksum of a symbol of the kernel, which the modules are bound to.
    symbol: u32,
}

/// The packages of a release, by name and version, with their tags and one file each.
fn packages(of: Versions) -> Vec<(&'static str, &'static str, String, String)> {
    let Versions {
        kernel,
        lustre,
        e2fsprogs,
        symbol,
    } = of;
    let modules = format!("/lib/modules/{kernel}.x86_64");
    let linked = format!("Requires: kernel(foo) = 0x{symbol}");
    vec![
        (
            "kernel-core",
            kernel,
            format!("Provides: installonlypkg(kernel)\nProvides: kernel(foo) = 0x{symbol}"),
            format!("{modules}/vmlinuz"),
        ),
        (
            "kernel",
            kernel,
            "Requires: kernel-core = %{version}-%{release}".to_owned(),
            "/usr/share/kernel/%{release}".to_owned(),
        ),
        (
            "kmod-lustre",
            lustre,
            format!("{linked}\nProvides: ksym(lu) = 0x{symbol}"),
            format!("{modules}/extra/lustre/fs/lustre.ko"),
        ),
        (
            "kmod-lustre-osd-ldiskfs",
            lustre,
            format!(
                "{linked}\nRequires: kmod-lustre = %{{version}}\nRequires: ldiskfsprogs >= 1.45.6\nProvides: lustre-osd"
            ),
            format!("{modules}/extra/lustre-osd-ldiskfs/fs/ldiskfs.ko"),
        ),
        (
            "lustre-osd-ldiskfs-mount",
            lustre,
            "Provides: lustre-osd-mount".to_owned(),
            "/usr/lib64/lustre/mount_osd_ldiskfs.so".to_owned(),
        ),
        (
            "lustre",
            lustre,
            "Requires: kmod-lustre = %{version}\nRequires: lustre-osd\nRequires: lustre-osd-mount"
                .to_owned(),
            "/usr/sbin/lctl".to_owned(),
        ),
        (
            "lustre-resource-agents",
            lustre,
            "Requires: lustre".to_owned(),
            "/usr/lib/ocf/resource.d/lustre/Lustre".to_owned(),
        ),
        (
            "e2fsprogs",
            e2fsprogs,
            "Requires: libcom_err = %{version}-%{release}\nProvides: ldiskfsprogs = %{version}"
                .to_owned(),
            "/usr/sbin/mke2fs".to_owned(),
        ),
        (
            "libcom_err",
            e2fsprogs,
            String::new(),
            "/usr/lib64/libcom_err.so.2".to_owned(),
        ),
    ]
}

/// A server that has upstream's builds, and our repository.
struct Server {
    folder: tempfile::TempDir,
    tree: Tree,
    /// Upstream's two repositories, at the places they have below its server.
    upstream: [PathBuf; 2],
}

impl Server {
    fn new(upstream: Versions) -> Self {
        let mut tree = Tree::new();
        tree.packages.retain(|input| {
            let name = input.path.file_name().unwrap().to_string_lossy();
            name.starts_with("lustre-repo-release")
        });
        for (name, evr, tags, file) in packages(OURS) {
            tree.with(&Spec {
                name,
                evr,
                tags: &format!("Vendor: us\n{tags}"),
                files: &[(&file, "of ours")],
            });
        }
        tree.assemble().unwrap();

        let folder = tempfile::tempdir().unwrap();
        let places = [
            "lustre/lustre-2/el9/server/RPMS/x86_64",
            "e2fsprogs/latest/el9/RPMS/x86_64",
        ]
        .map(|place| folder.path().join("upstream/public").join(place));
        for (name, evr, tags, file) in packages(upstream) {
            let e2fsprogs = evr == upstream.e2fsprogs;
            let spec = Spec {
                name,
                evr,
                tags: &format!("Vendor: upstream\n{tags}"),
                files: &[(&file, "of upstream")],
            };
            let (_, source) = spec.build(&places[usize::from(e2fsprogs)]);
            fs::remove_file(source).unwrap();
        }
        for place in &places {
            succeed(Command::new("createrepo_c").arg("-q").arg(place));
        }
        let server = Self {
            folder,
            tree,
            upstream: places,
        };
        fs::create_dir_all(server.root().join("etc/yum.repos.d")).unwrap();
        server.write_upstream(true);
        server
            .dnf(&["install", "kernel-core", "e2fsprogs"])
            .unwrap();
        let mut install = vec!["install"];
        install.extend(SERVER);
        server.dnf(&install).unwrap();
        assert!(
            server
                .all("vendor")
                .iter()
                .filter(|one| one.ends_with(" upstream"))
                .count()
                >= 9
        );
        server
    }

    fn root(&self) -> PathBuf {
        self.client().root()
    }

    fn client(&self) -> Dnf<'_> {
        Dnf {
            folder: self.folder.path(),
        }
    }

    /// The `.repo` file that a site writes for upstream's repositories, which are not signed.
    fn write_upstream(&self, enabled: bool) {
        let enabled = u8::from(enabled);
        let one = |id: &str, place: &Path| {
            format!(
                "[{id}]\nname={id}\nbaseurl=file://{}\ngpgcheck=0\nenabled={enabled}\n",
                place.display()
            )
        };
        let [lustre, e2fsprogs] = &self.upstream;
        let text = one("lustre-server", lustre) + &one("e2fsprogs-wc", e2fsprogs);
        fs::write(self.root().join("etc/yum.repos.d/lustre.repo"), text).unwrap();
    }

    fn dnf(&self, arguments: &[&str]) -> Result<String, String> {
        let key = self.root().join("etc/pki/rpm-gpg/RPM-GPG-KEY-lustre-repo");
        let mut command = self.client().with_base();
        if key.exists() {
            command.arg(format!("--setopt=lustre.gpgkey=file://{}", key.display()));
        }
        match run(command.args(arguments)) {
            (true, text) => Ok(text),
            (false, text) => Err(text),
        }
    }

    /// As the documentation says: the key, then the release package.
    fn use_ours(&self) {
        succeed(
            Command::new("rpmkeys")
                .arg("--root")
                .arg(self.root())
                .arg("--import")
                .arg(self.tree.dist().join("RPM-GPG-KEY-lustre-repo")),
        );
        let package = "x86_64/Packages/lustre-repo-release-1.0-1.el8.noarch.rpm";
        let package = self.tree.dist().join(package).display().to_string();
        self.dnf(&["install", &package]).unwrap();
    }

    /// Each of its packages, with a tag of it.
    fn all(&self, tag: &str) -> Vec<String> {
        let said = succeed(Command::new("rpm").arg("--root").arg(self.root()).args([
            "-qa",
            "--qf",
            &format!("%{{NVR}} %{{{tag}}}\\n"),
        ]));
        let mut all: Vec<String> = said.lines().map(str::to_owned).collect();
        all.sort();
        all
    }

    /// Those that upstream built.
    fn of_upstream(&self) -> Vec<String> {
        let all = self.all("vendor");
        all.iter()
            .filter_map(|one| one.strip_suffix(" upstream"))
            .map(str::to_owned)
            .collect()
    }

    /// What rpm finds wrong.
    fn verified(&self) -> String {
        let mut command = Command::new("rpm");
        command.arg("--root").arg(self.root()).arg("-Va");
        run(&mut command).1
    }

    /// Everything of ours is there, and of upstream's nothing but the kernel, beside ours.
    fn has_moved(&self, kernel: Option<&str>) {
        let mut left: Vec<String> = Vec::new();
        for name in kernel.iter().flat_map(|_| ["kernel", "kernel-core"]) {
            left.push(format!("{name}-{}", kernel.unwrap()));
        }
        assert_eq!(self.of_upstream(), left);
        let all = self.all("vendor");
        for (name, evr, ..) in packages(OURS) {
            assert!(all.contains(&format!("{name}-{evr} us")), "{name}: {all:?}");
        }
        assert_eq!(self.verified(), "");
        // What the documentation tells to look at: what no key signed.
        let unsigned = self.all("RSAHEADER:pgpsig");
        let unsigned: Vec<&String> = unsigned
            .iter()
            .filter(|one| one.contains("_lustre") || one.contains("lustre-"))
            .filter(|one| one.ends_with(" (none)"))
            .collect();
        assert_eq!(unsigned.len(), left.len(), "{unsigned:?}");
    }
}

/// A release of upstream's before ours: the names are the same, and the versions of ours are higher, that of e2fsprogs as well.
#[test]
fn a_server_with_an_older_release_of_upstreams_moves_by_dnf_upgrade_and_back() {
    let server = Server::new(Versions {
        kernel: OLDER,
        lustre: "2.16.1-1.el9",
        e2fsprogs: "1.47.3-wc2.el9",
        symbol: 1,
    });
    let before = server.of_upstream();
    server.use_ours();
    server.dnf(&["upgrade"]).unwrap();
    server.has_moved(Some(OLDER));

    // Back to upstream's, as long as its repositories are there.
    server.write_upstream(false);
    let refused = server.dnf(&["history", "undo", "last"]).unwrap_err();
    assert!(
        refused.contains("Cannot find rpm nevra \"lustre-2.16.1-1.el9.x86_64\""),
        "{refused}"
    );
    server.has_moved(Some(OLDER));
    server.write_upstream(true);
    server.dnf(&["history", "undo", "last"]).unwrap();
    assert_eq!(server.of_upstream(), before);
    assert_eq!(server.verified(), "");
}

/// The same release for the same distribution: both have packages of the same name, version and release, and dnf takes none of them for
/// an upgrade. Our kernel comes, and upstream's modules are for upstream's kernel.
#[test]
fn the_same_release_of_lustre_stays_upstreams_until_distro_sync() {
    let server = Server::new(Versions {
        kernel: SAME,
        lustre: OURS.lustre,
        e2fsprogs: "1.47.3-wc2.el9",
        symbol: 1,
    });
    server.use_ours();
    server.dnf(&["upgrade"]).unwrap();
    let left = server.of_upstream();
    for name in ["lustre", "kmod-lustre", "kmod-lustre-osd-ldiskfs"] {
        let left = left.contains(&format!("{name}-{}", OURS.lustre));
        assert!(left, "{name} moved: the documentation says it does not");
    }
    server.write_upstream(false);
    server.dnf(&["distro-sync"]).unwrap();
    server.has_moved(Some(SAME));
}

/// Upstream's newer builds name their kernel as we do: the same name, version and release, and another kernel.
#[test]
fn a_kernel_of_the_same_name_and_version_is_replaced_in_its_place() {
    let server = Server::new(Versions {
        symbol: 1,
        e2fsprogs: "1.47.3-wc2.el9",
        ..OURS
    });
    server.use_ours();
    server.dnf(&["upgrade"]).unwrap();
    assert!(
        server
            .of_upstream()
            .contains(&format!("kernel-core-{}", OURS.kernel))
    );
    server.write_upstream(false);
    server.dnf(&["distro-sync"]).unwrap();
    server.has_moved(None);
}

/// A later release than ours: `dnf upgrade` never goes back.
#[test]
fn later_releases_of_upstreams_go_back_to_ours_by_distro_sync() {
    let server = Server::new(Versions {
        kernel: NEWER,
        lustre: "2.17.51-1.el9",
        e2fsprogs: "1.47.4-wc1.el9",
        symbol: 1,
    });
    server.use_ours();
    let before = server.of_upstream();
    server.dnf(&["upgrade"]).unwrap();
    assert_eq!(server.of_upstream(), before);
    server.write_upstream(false);
    server.dnf(&["distro-sync"]).unwrap();
    server.has_moved(Some(NEWER));
}

/// A site that rebuilt upstream's packages with an epoch: that is above any version of ours.
#[test]
fn packages_with_an_epoch_go_back_to_ours_by_distro_sync() {
    let server = Server::new(Versions {
        kernel: OLDER,
        lustre: "2.16.1-1.el9",
        e2fsprogs: "1.47.3-wc2.el9",
        symbol: 1,
    });
    // The same packages once more, one of them with an epoch.
    let more = Spec {
        name: "lustre-resource-agents",
        evr: "2.16.1-1.el9",
        tags: "Epoch: 1\nVendor: upstream\nRequires: lustre",
        files: &[("/usr/lib/ocf/resource.d/lustre/Lustre", "of upstream")],
    };
    let (binary, _) = more.build(&server.folder.path().join("site"));
    server
        .dnf(&["install", &binary.display().to_string()])
        .unwrap();
    server.use_ours();
    server.dnf(&["upgrade"]).unwrap();
    assert!(
        server
            .of_upstream()
            .contains(&"lustre-resource-agents-2.16.1-1.el9".to_owned())
    );
    server.write_upstream(false);
    server.dnf(&["distro-sync"]).unwrap();
    server.has_moved(Some(OLDER));
}
