//! Whether a lock may be told to others.

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

impl Lock {
    /// The first place in it that others do not have or are not to be told: one of a machine, or with a password.
    pub fn private_place(&self) -> Option<&str> {
        let of_trees = self.tree.values().flat_map(Locked::places);
        let mut places = self.files().map(|pin| pin.uri.as_str()).chain(of_trees);
        places.find(|place| !is_public(place))
    }
}

fn is_public(place: &str) -> bool {
    let Some((scheme, rest)) = place.split_once(':') else {
        return false;
    };
    let host = rest
        .trim_start_matches('/')
        .split('/')
        .next()
        .unwrap_or_default();
    let user = host.rsplit_once('@').map_or("", |(user, _)| user);
    PUBLIC.contains(&scheme) && !user.contains(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_of_a_machine_or_with_a_password_is_not_told() {
        for (place, is) in [
            ("https://mirror.example/a.rpm", true),
            ("http://mirror.example:8080/a.deb", true),
            ("mirror+https://mirror.example/list/a.deb", true),
            ("ssh://git@host.example/lustre", true),
            ("https://me:secret@mirror.example/a.rpm", false),
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
