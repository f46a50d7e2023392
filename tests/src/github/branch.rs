//! The side of git: the branch whose files are the pages, and pushes to it.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;

use super::git::{fed, git_of, isolated};
use super::http::{Answer, Request, base64};
use super::state::{BRANCH, REPOSITORY, State, TOKEN};

impl State {
    pub(super) fn commits(&self, files: &[(&str, &str)]) {
        self.changes_branch(files, &[]);
    }

    pub(super) fn changes_branch(&self, files: &[(&str, &str)], removed: &[&str]) {
        let index = self.folder.path().join("index");
        let _ = fs::remove_file(&index);
        let run = |arguments: &[&str], input: &[u8]| {
            let mut command = isolated();
            command
                .env("GIT_INDEX_FILE", &index)
                .arg("--git-dir")
                .arg(self.repository())
                .args(arguments);
            let (success, out, said) = fed(&mut command, input);
            assert!(success, "{arguments:?}: {said}");
            String::from_utf8(out).unwrap().trim().to_owned()
        };
        let name = format!("refs/heads/{BRANCH}");
        let before = git_of(
            &self.repository(),
            &["rev-parse", "--verify", "--quiet", &name],
            b"",
        );
        let before = before.map(|it| it.trim().to_owned());
        if let Some(before) = &before {
            run(&["read-tree", before], b"");
        }
        for (path, content) in files {
            let id = run(&["hash-object", "-w", "--stdin"], content.as_bytes());
            run(
                &[
                    "update-index",
                    "--add",
                    "--cacheinfo",
                    &format!("100644,{id},{path}"),
                ],
                b"",
            );
        }
        for path in removed {
            let line = format!("0 {}\t{path}\n", "0".repeat(40));
            run(&["update-index", "--index-info"], line.as_bytes());
        }
        let tree = run(&["write-tree"], b"");
        let mut arguments = vec!["commit-tree", &tree, "-m", "theirs"];
        if let Some(before) = &before {
            arguments.extend(["-p", before]);
        }
        let commit = run(&arguments, b"");
        run(&["update-ref", &name, &commit], b"");
        self.deploy();
    }

    /// Has the pages be what the branch is, at once.
    pub(super) fn deploy(&self) {
        let number = {
            let mut shared = self.shared();
            shared.deployed += 1;
            shared.deployed
        };
        let to = self.folder.path().join(format!("deployed-{number}"));
        fs::create_dir(&to).unwrap();
        let mut command = isolated();
        command
            .arg("--git-dir")
            .arg(self.repository())
            .args(["archive", "--format=tar", BRANCH]);
        let (success, archive, _) = fed(&mut command, b"");
        if success {
            let mut command = Command::new("tar");
            command.args(["--extract", "--directory"]).arg(&to);
            let (success, _, said) = fed(&mut command, &archive);
            assert!(success, "{said}");
        }
        let (_, name) = REPOSITORY.split_once('/').unwrap();
        let link = self.folder.path().join(format!("link-{number}"));
        symlink(&to, &link).unwrap();
        fs::rename(&link, self.folder.path().join("www").join(name)).unwrap();
    }

    /// git's own server, to which anybody may talk to read, and who has the token to write.
    pub(super) fn http_backend(&self, request: &Request) -> Answer {
        let pushes = format!("{}?{}", request.path, request.raw_query).contains("git-receive-pack");
        if pushes {
            let wanted = format!(
                "Basic {}",
                base64(format!("x-access-token:{TOKEN}").as_bytes())
            );
            match request.headers.get("authorization") {
                Some(said) if *said == wanted => {}
                Some(_) => return Answer::message(403, "Permission denied"),
                None => {
                    let mut answer = Answer::message(401, "Requires authentication");
                    let realm = "Basic realm=\"GitHub\"".to_owned();
                    answer.headers.push(("WWW-Authenticate".to_owned(), realm));
                    return answer;
                }
            }
        }
        let before = git_of(&self.repository(), &["rev-parse", BRANCH], b"");
        let mut command = isolated();
        command
            .arg("http-backend")
            .env("GIT_PROJECT_ROOT", self.folder.path().join("git"))
            .env("GIT_HTTP_EXPORT_ALL", "1")
            .env("PATH_INFO", &request.path)
            .env("QUERY_STRING", &request.raw_query)
            .env("REQUEST_METHOD", &request.method)
            .env("REMOTE_USER", "site")
            .env("REMOTE_ADDR", "127.0.0.1");
        for (name, variable) in [
            ("content-type", "CONTENT_TYPE"),
            ("content-encoding", "HTTP_CONTENT_ENCODING"),
            ("git-protocol", "GIT_PROTOCOL"),
        ] {
            command.envs(request.headers.get(name).map(|value| (variable, value)));
        }
        command.env("CONTENT_LENGTH", request.body.len().to_string());
        let (_, out, said) = fed(&mut command, &request.body);
        let end = out.windows(4).position(|it| it == b"\r\n\r\n");
        let Some(end) = end else {
            return Answer::message(500, &said);
        };
        let head = String::from_utf8_lossy(&out[..end]).into_owned();
        let mut answer = Answer {
            status: 200,
            headers: Vec::new(),
            body: out[end + 4..].to_vec(),
        };
        for line in head.lines() {
            match line.split_once(':') {
                Some(("Status", value)) => {
                    answer.status = value.trim().split(' ').next().unwrap().parse().unwrap();
                }
                Some((name, value)) => answer
                    .headers
                    .push((name.to_owned(), value.trim().to_owned())),
                None => {}
            }
        }
        if git_of(&self.repository(), &["rev-parse", BRANCH], b"") != before {
            self.deploy();
        }
        answer
    }
}
