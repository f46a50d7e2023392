//! What the workflows of forges run of the tool.

/// The jobs of a workflow of GitHub, or of GitLab's file, each with its lines, without comments.
pub fn jobs(text: &str) -> Vec<(String, String)> {
    let (depth, text) = match text.split_once("\njobs:\n") {
        Some((_, jobs)) => ("  ", jobs),
        None => ("", text),
    };
    let mut jobs: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.trim().starts_with('#')) {
        let name = line.strip_prefix(depth).and_then(|line| {
            let begins = line.starts_with(|c: char| c.is_ascii_alphanumeric());
            line.strip_suffix(':').filter(|_| begins)
        });
        match (name, jobs.last_mut()) {
            (Some(name), _) => jobs.push((name.to_owned(), String::new())),
            (None, Some((_, lines))) => {
                lines.push_str(line);
                lines.push('\n');
            }
            (None, None) => {}
        }
    }
    jobs
}

/// The lines of a script that start the tool, as a shell gets them.
pub fn lines(text: &str) -> Vec<&str> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.trim_start_matches("- ").trim_start_matches("run: "))
        .filter(|line| arguments(line).is_some())
        .collect()
}

/// What a line gives the tool.
pub fn arguments(line: &str) -> Option<&str> {
    ["cargo xtask ", "lustre-repo --specs specs "]
        .iter()
        .find_map(|tool| Some(line.split_once(tool)?.1))
}
