//! The names that a distribution's packages will have or provide, told from its recipe and its pins without making a package.

use std::collections::BTreeSet;

use super::own;
use super::recipe::Recipe;
use lustre_packaging::lock::PackagePin;

/// The names of all packages that are made of `pins` by `recipe`, of its own and its stock packages, and what the recipe says they
/// provide. What a package provides by its files (sonames, `pkgconfig(…)`) is not among them.
pub fn offered(recipe: &Recipe, pins: &[PackagePin]) -> Result<BTreeSet<String>, own::Error> {
    let names = recipe.names();
    let mut offered: BTreeSet<String> = pins
        .iter()
        .map(|pin| names.of(&pin.name).to_owned())
        .collect();
    offered.extend(recipe.split.keys().cloned());
    let plain = |text: &String| text.split_whitespace().next().map(str::to_owned);
    for (name, extra) in &recipe.package {
        if offered.contains(name) {
            offered.extend(extra.provides.iter().filter_map(plain));
        }
    }
    if let Some(stock) = &recipe.stock {
        offered.extend(stock.packages.iter().cloned());
        offered.extend(stock.provides.iter().filter_map(plain));
    }
    for folder in own::folders(recipe)? {
        let (name, provides) = own::name_and_provides(&folder)?;
        offered.insert(name);
        offered.extend(provides.iter().filter_map(plain));
    }
    Ok(offered)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lustre_packaging::lock::FilePin;

    #[test]
    fn names_come_from_pins_tables_and_own_packages() {
        let dir = tempfile::tempdir().unwrap();
        let own = dir.path().join("own/release");
        std::fs::create_dir_all(&own).unwrap();
        std::fs::write(
            own.join("package.toml"),
            "name = 'x-release'\nversion = '1'\nrelease = '1'\nsummary = 's'\ndescription = 'd'\nlicense = 'l'\nprovides = ['system-release = 1']\n",
        )
        .unwrap();
        std::fs::write(
            dir.path().join("distribution.toml"),
            "[distribution]\nname = 'X'\ntime = 1\n[debian]\ncodename = 'c'\nsuites = []\ncomponent = 'main'\nseeds = []\n\
             [rename]\nlibext2fs-dev = 'e2fsprogs-devel'\n[merge]\ne2fsprogs = ['e2fsprogs', 'logsave']\n\
             [split.rpm-build]\nfrom = 'rpm'\nfiles = []\n\
             [stock]\npackages = ['kernel']\nsummary = 's'\ndescription = 'd'\nlicense = 'l'\n\
             [package.bash]\nprovides = ['/bin/sh', 'shell = {version}']\n[package.absent]\nprovides = ['nothing']\n",
        )
        .unwrap();
        let recipe = Recipe::load(dir.path()).unwrap();
        let pins: Vec<PackagePin> = ["bash", "e2fsprogs", "libext2fs-dev", "logsave", "rpm"]
            .iter()
            .map(|name| PackagePin {
                name: (*name).to_owned(),
                version: "1".to_owned(),
                arch: "amd64".to_owned(),
                file: FilePin {
                    file: format!("{name}.deb"),
                    size: 1,
                    sha256: String::new(),
                    uri: String::new(),
                },
            })
            .collect();
        let found: Vec<String> = offered(&recipe, &pins).unwrap().into_iter().collect();
        assert_eq!(
            found,
            [
                "/bin/sh",
                "bash",
                "e2fsprogs",
                "e2fsprogs-devel",
                "kernel",
                "rpm",
                "rpm-build",
                "shell",
                "system-release",
                "x-release"
            ]
        );
    }
}
