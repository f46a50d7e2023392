//! The API: releases and their assets, and downloads of them.

use serde_json::{Value, json};

use super::http::{Answer, Request, decoded};
use super::state::{Asset, HOST, REPOSITORY, Release, ServerState, State, TOKEN};

/// How many items a page of a list has at most, whatever is asked for: whoever does not ask for the next one misses some.
const PAGE: usize = 3;

/// How many assets a release takes.
const MOST_ASSETS: usize = 1_000;

/// What it calls an asset: letters, digits and a few signs stay, others in a row are one period, and none is at either end. A `+` stays where it
/// came `encoded`.
pub fn stored(name: &str, encoded: bool) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c) || encoded && c == '+';
    let mut stored = String::new();
    for c in name.chars() {
        match plain(c) {
            true => stored.push(c),
            false if stored.ends_with('.') => {}
            false => stored.push('.'),
        }
    }
    stored.trim_matches('.').to_owned()
}

impl State {
    /// Who asks: somebody with the token, nobody, or somebody who is not known.
    pub(super) fn who(request: &Request) -> Result<bool, Answer> {
        let Some(said) = request.headers.get("authorization") else {
            return Ok(false);
        };
        let is_so = ["token", "Bearer"]
            .iter()
            .any(|word| *said == format!("{word} {TOKEN}"));
        match is_so {
            true => Ok(true),
            false => Err(Answer::message(401, "Bad credentials")),
        }
    }

    pub(super) fn api(&self, request: &Request, path: &[&str], whole: bool) -> Answer {
        let known = match Self::who(request) {
            Ok(known) => known,
            Err(answer) => return answer,
        };
        let (owner, name) = REPOSITORY.split_once('/').unwrap();
        let rest = match path {
            ["repos", o, n, rest @ ..] if *o == owner && *n == name => rest,
            _ => return Answer::message(404, "Not Found"),
        };
        let method = request.method.as_str();
        if method != "GET" && !known {
            return Answer::message(401, "Requires authentication");
        }
        let is_upload = request.host.starts_with("uploads.");
        let parsed = |shared: &mut ServerState| -> Result<Value, Answer> {
            let _ = shared;
            serde_json::from_slice(&request.body)
                .map_err(|_| Answer::message(400, "Problems parsing JSON"))
        };
        let mut shared = self.shared();
        match (method, rest) {
            ("GET", []) => Answer::json(
                200,
                &json!({ "full_name": REPOSITORY, "default_branch": "main", "private": false }),
            ),
            ("GET", ["releases"]) => {
                let seen = shared.releases.iter().rev().filter(|it| known || !it.draft);
                let seen: Vec<Value> = seen.map(|it| shared.release(it)).collect();
                Self::page(request, seen)
            }
            ("POST", ["releases"]) if !is_upload => {
                let body = match parsed(&mut shared) {
                    Ok(body) => body,
                    Err(answer) => return answer,
                };
                let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
                let (tag, draft) = (text("tag_name"), body["draft"] == true);
                if tag.is_empty() {
                    return Answer::invalid("tag_name", "missing_field");
                }
                if !draft && shared.releases.iter().any(|it| it.tag == tag && !it.draft) {
                    return Answer::invalid("tag_name", "already_exists");
                }
                let release = Release {
                    id: shared.id(),
                    tag,
                    title: text("name"),
                    notes: text("body"),
                    draft,
                    assets: Vec::new(),
                };
                shared.releases.push(release.clone());
                Answer::json(201, &shared.release(&release))
            }
            ("PATCH", ["releases", id]) => {
                let body = match parsed(&mut shared) {
                    Ok(body) => body,
                    Err(answer) => return answer,
                };
                let Some(at) = shared
                    .releases
                    .iter()
                    .position(|it| it.id.to_string() == *id)
                else {
                    return Answer::message(404, "Not Found");
                };
                let tag = shared.releases[at].tag.clone();
                if body["draft"] == false {
                    let another =
                        |(other, it): (usize, &Release)| other != at && it.tag == tag && !it.draft;
                    if shared.releases.iter().enumerate().any(another) {
                        return Answer::invalid("tag_name", "already_exists");
                    }
                    shared.releases[at].draft = false;
                }
                for (name, to) in [("name", 0), ("body", 1)] {
                    if let Some(text) = body[name].as_str() {
                        let release = &mut shared.releases[at];
                        let field = if to == 0 {
                            &mut release.title
                        } else {
                            &mut release.notes
                        };
                        text.clone_into(field);
                    }
                }
                let release = shared.releases[at].clone();
                Answer::json(200, &shared.release(&release))
            }
            ("GET", ["releases", id, "assets"]) => {
                let found = shared.releases.iter().find(|it| it.id.to_string() == *id);
                match found.filter(|it| known || !it.draft) {
                    None => Answer::message(404, "Not Found"),
                    Some(release) => Self::page(
                        request,
                        release.assets.iter().map(|it| shared.asset(it)).collect(),
                    ),
                }
            }
            ("POST", ["releases", id, "assets"]) if is_upload => {
                let name = stored(request.query.get("name").map_or("", String::as_str), true);
                let typed = request.headers.contains_key("content-type");
                let length = request
                    .headers
                    .get("content-length")
                    .is_some_and(|it| it != "0");
                if name.is_empty() || !typed || !length {
                    return Answer::message(400, "Bad Request");
                }
                let next = shared.id();
                let Some(release) = shared
                    .releases
                    .iter_mut()
                    .find(|it| it.id.to_string() == *id)
                else {
                    return Answer::message(404, "Not Found");
                };
                if release
                    .assets
                    .iter()
                    .any(|it| it.name.eq_ignore_ascii_case(&name))
                {
                    return Answer::invalid("name", "already_exists");
                }
                if release.assets.len() >= MOST_ASSETS {
                    return Answer::invalid("assets", "too_many");
                }
                let asset = Asset {
                    id: next,
                    name,
                    content: whole.then(|| request.body.clone()),
                };
                release.assets.push(asset.clone());
                Answer::json(201, &shared.asset(&asset))
            }
            ("DELETE", ["releases", "assets", id]) => {
                for release in &mut shared.releases {
                    let before = release.assets.len();
                    release.assets.retain(|it| it.id.to_string() != *id);
                    if release.assets.len() < before {
                        return Answer::empty(204);
                    }
                }
                Answer::message(404, "Not Found")
            }
            _ => Answer::message(404, "Not Found"),
        }
    }

    /// The page of a list that was asked for, and where the next one is.
    pub(super) fn page(request: &Request, all: Vec<Value>) -> Answer {
        let number = |name: &str| request.query.get(name).and_then(|it| it.parse().ok());
        let page: usize = number("page").unwrap_or(1).max(1);
        let size = number("per_page").unwrap_or(30).clamp(1, PAGE);
        let more = all.len() > page * size;
        let list: Vec<Value> = all.into_iter().skip((page - 1) * size).take(size).collect();
        let mut answer = Answer::json(200, &Value::Array(list));
        if more {
            let link = format!(
                "<http://{}{}?per_page={size}&page={}>; rel=\"next\"",
                request.host,
                request.path,
                page + 1
            );
            answer.headers.push(("Link".to_owned(), link));
        }
        answer
    }

    /// What browsers fetch of a release: nothing of a draft, and all else from another host.
    pub(super) fn download(&self, path: &[&str]) -> Answer {
        let (owner, name) = REPOSITORY.split_once('/').unwrap();
        let shared = self.shared();
        let found = match path {
            [o, n, "releases", "download", tag, asset] if *o == owner && *n == name => {
                let release = shared
                    .releases
                    .iter()
                    .find(|it| it.tag == *tag && !it.draft);
                let name = decoded(asset);
                let assets = release.map_or(&[][..], |it| it.assets.as_slice());
                assets
                    .iter()
                    .find(|it| it.name == name && it.content.is_some())
            }
            _ => None,
        };
        match found {
            None => Answer::message(404, "Not Found"),
            Some(asset) => {
                let mut answer = Answer::empty(302);
                let to = format!("https://objects.{HOST}/{}?signature=abc", asset.id);
                answer.headers.push(("Location".to_owned(), to));
                answer
            }
        }
    }

    pub(super) fn object(&self, request: &Request, path: &[&str]) -> Answer {
        let signed = request.query.get("signature").is_some_and(|it| it == "abc");
        let shared = self.shared();
        let mut assets = shared.releases.iter().flat_map(|it| &it.assets);
        let found = assets.find(|it| [it.id.to_string().as_str()] == path);
        match found.and_then(|it| it.content.clone()) {
            Some(body) if signed => Answer {
                status: 200,
                headers: vec![(
                    "Content-Type".to_owned(),
                    "application/octet-stream".to_owned(),
                )],
                body,
            },
            _ => Answer::message(403, "Forbidden"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_documentation() {
        assert_eq!(stored(".a b~^1+2-3.rpm.", true), "a.b.1+2-3.rpm");
        assert_eq!(stored(".a b~^1+2-3.rpm.", false), "a.b.1.2-3.rpm");
    }
}
