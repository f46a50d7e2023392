//! Packages of two signers in one repository, and a server that asks for a certificate.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use lustre_repo_tests::gpg::Gpg;

use super::world::{MIRROR, World, succeed};
use super::{locked, package, refused};

#[test]
fn two_signers_are_noticed_from_the_headers_before_anything_is_fetched() {
    let world = World::new();
    let former = Gpg::new("Distribution, as it was");
    former.sign_package(&world.mirror("base/x86_64/tool-1.0-1.x86_64.rpm"));
    world.again("base");
    world.server.requests();
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "repository `base`: there is a package",
            &world.gpg().fingerprint(),
            "tool-1.0-1.x86_64.rpm: signed by",
            &former.fingerprint(),
            "[distribution.repository.base]",
            "key = [\"distribution\", \"NAME\"]",
        ],
    );
    let asked = world.server.requests();
    let packages: Vec<_> = asked
        .iter()
        .filter(|request| request.path.ends_with(".rpm"))
        .collect();
    assert!(!packages.is_empty());
    assert!(
        packages
            .iter()
            .all(|request| request.status == 206 && request.from == Some(0)),
        "{packages:?}"
    );
    // With both keys, as the error says.
    fs::write(world.mirror("FORMER"), former.public_key()).unwrap();
    fs::rename(world.file(), world.file().with_file_name("common.toml")).unwrap();
    let own = format!(
        "inherits = 'common'\n[distribution.keys.former]\nfingerprint = '{}'\nfile = 'keys/former-of-the-test.asc'\n\
         url = '{MIRROR}/FORMER'\n[distribution.repository.base]\nkey = ['distribution', 'former']\n",
        former.fingerprint()
    );
    fs::write(world.file(), own).unwrap();
    let lock = locked(&world);
    assert!(lock.source.contains_key("key-former"));
    // Nobody's.
    fs::remove_file(world.lock_file()).unwrap();
    let tool = world.mirror("base/x86_64/tool-1.0-1.x86_64.rpm");
    succeed(Command::new("rpmsign").arg("--delsign").arg(&tool));
    world.again("base");
    refused(
        &world,
        &world.run(&["lock"]),
        &["tool-1.0-1.x86_64.rpm: not signed"],
    );
}

/// Serves a folder to those who show a certificate.
struct Guarded {
    child: Child,
    port: String,
}

const SERVER: &str = "
import functools, http.server, ssl, sys
root, folder = sys.argv[1:]
handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=root)
server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(folder + '/server.pem', folder + '/server-key.pem')
context.load_verify_locations(folder + '/authority.pem')
context.verify_mode = ssl.CERT_REQUIRED
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
";

impl Guarded {
    fn new(root: &Path, folder: &Path) -> Self {
        let mut child = Command::new("/usr/bin/python3")
            .args(["-I", "-c", SERVER])
            .arg(root)
            .arg(folder)
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut port = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut port)
            .unwrap();
        Self {
            child,
            port: port.trim().to_owned(),
        }
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority, and by it a server's certificate and a client's, as files in `folder`.
fn certificates(folder: &Path) {
    let openssl = |arguments: &[&str]| {
        succeed(Command::new("openssl").args(arguments).current_dir(folder));
    };
    let new = ["req", "-newkey", "rsa:2048", "-nodes", "-days", "30"];
    let authority = [
        "-x509",
        "-subj",
        "/CN=authority",
        "-keyout",
        "authority-key.pem",
    ];
    openssl(&[&new[..], &authority[..], &["-out", "authority.pem"]].concat());
    fs::write(folder.join("ext"), "subjectAltName=IP:127.0.0.1\n").unwrap();
    for (name, files) in [("server", "server"), ("client", "4711")] {
        let subject = format!("/CN={name}");
        let (key, request, certificate) = (
            format!("{files}-key.pem"),
            format!("{name}.csr"),
            format!("{files}.pem"),
        );
        openssl(&[
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", &subject, "-keyout", &key, "-out",
            &request,
        ]);
        openssl(&[
            "x509",
            "-req",
            "-in",
            &request,
            "-CA",
            "authority.pem",
            "-CAkey",
            "authority-key.pem",
            "-CAcreateserial",
            "-days",
            "30",
            "-extfile",
            "ext",
            "-out",
            &certificate,
        ]);
    }
}

#[test]
fn a_server_that_asks_for_a_certificate_gets_the_one_of_the_subscription() {
    let world = World::new();
    let folder = tempfile::tempdir().unwrap();
    certificates(folder.path());
    let server = Guarded::new(&world.mirror(""), folder.path());
    let entitlement = folder.path().join("entitlement");
    fs::create_dir(&entitlement).unwrap();
    let text = fs::read_to_string(world.file()).unwrap();
    let location = format!("https://127.0.0.1:{}", server.port);
    // Nothing has the variable in it then.
    let text = text.replace("tree = 'el10'\n", "");
    let text = text.replace(&format!("{MIRROR}/$tree"), &location).replace(
        "signed_metadata = true",
        &format!(
            "signed_metadata = true\nsslclientcert = '{0}'\nsslclientkey = '{0}'\nsslcacert = '{1}'",
            entitlement.display(),
            folder.path().join("authority.pem").display()
        ),
    );
    fs::write(world.file(), text).unwrap();
    refused(
        &world,
        &world.run(&["lock"]),
        &[
            "`base`",
            "NUMBER-key.pem",
            "subscription-manager register",
            "--mirror",
        ],
    );
    // A site's own copy is another server: nothing is asked for.
    let mirror = format!("{location}={}", world.server.url(""));
    let ran = world.run(&["lock", "--mirror", &mirror]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let by_mirror = fs::read_to_string(world.lock_file()).unwrap();
    fs::remove_file(world.lock_file()).unwrap();
    // As subscription-manager keeps them.
    for end in ["4711.pem", "4711-key.pem"] {
        fs::rename(folder.path().join(end), entitlement.join(end)).unwrap();
    }
    let ran = world.run(&["lock"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(fs::read_to_string(world.lock_file()).unwrap(), by_mirror);
    let ran = world.run(&["fetch", "--locked"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let lock = locked(&world);
    assert!(package(&lock, "tool").file.uri.starts_with(&location));
    // This server does not support range requests, and it is said what follows.
    fs::remove_dir_all(world.home.store()).unwrap();
    fs::remove_file(world.lock_file()).unwrap();
    let ran = world.run(&["lock"]);
    assert!(
        ran.code == 0 && ran.stderr.contains("does not support range requests"),
        "{ran:?}"
    );
}
