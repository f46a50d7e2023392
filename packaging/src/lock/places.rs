//! Whether a lock may be told to others.

use lustre_files::shown_url;

use super::Lock;
use crate::source::Locked;

/// How the places begin that whoever reads a lock has as well.
const PUBLIC: [&str; 7] = [
    "http",
    "https",
    "mirror+http",
    "mirror+https",
    "ftp",
    "git",
    "ssh",
];

/// How the places of forges begin that are come to by ssh.
const SSH_USER: &str = "ssh://git@";

impl Lock {
    /// The first place in it that others do not have or are not to be told: one of a machine, or with what may be a secret, a user's name, a
    /// password or a query.
    pub fn private_place(&self) -> Option<&str> {
        let mut files = self.files().map(|pin| pin.uri.as_str());
        files
            .find(|place| !is_public(place))
            .or_else(|| self.places_of_trees().find(|place| !is_public(place)))
    }

    /// Where its trees are fetched from.
    pub fn places_of_trees(&self) -> impl Iterator<Item = &str> {
        self.tree.values().flat_map(Locked::places)
    }
}

fn is_public(place: &str) -> bool {
    let Some((scheme, _)) = place.split_once(':') else {
        return false;
    };
    // Tokens are given as the user's name, too; but to ssh, which takes none.
    let shown = shown_url(place);
    let is_shown =
        shown == place || scheme == "ssh" && place.replacen(SSH_USER, "ssh://", 1) == shown;
    PUBLIC.contains(&scheme) && is_shown && !place.contains('?')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_a_machine_or_with_a_secret_is_not_told() {
        for (place, is) in [
            ("https://mirror.example/a.rpm", true),
            ("http://mirror.example:8080/a.deb", true),
            ("mirror+https://mirror.example/list/a.deb", true),
            ("ssh://git@host.example/lustre", true),
            ("https://me:secret@mirror.example/a.rpm", false),
            ("https://ghp_x@github.example/o/r", false),
            ("mirror+https://token@mirror.example/list/a.deb", false),
            ("ssh://token@host.example/lustre", false),
            ("ssh://git:secret@host.example/lustre", false),
            ("https://me:sec/ret@mirror.example/a.rpm", false),
            ("https://mirror.example/a.rpm?token=x", false),
            ("https://mirror.example/a.rpm?X-Amz-Signature=x", false),
            ("https://mirror.example/a@b.rpm", true),
            ("file:///srv/mirror/a.rpm", false),
            ("mirror+file:/etc/apt/mirrors/a.list/a.deb", false),
            ("copy:/srv/mirror/a.deb", false),
            ("cdrom:[Debian]/a.deb", false),
            ("/home/me/lustre", false),
            ("", false),
        ] {
            assert_eq!(is_public(place), is, "{place}");
        }
    }
}
