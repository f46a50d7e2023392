"""Which packages goals take, by dnf, from local copies of repositories' metadata alone.

Standard input is a JSON object:
    arch, module_platform (or null), scratch: a folder for dnf's own files,
    repositories: [{id, folder}], goals: [{name, install: [what dnf takes]}].
Standard output is one: goals: [{name, packages: [...]}] and problems: [{goal, text}], or unreadable: what dnf says of the metadata.
"""

import json
import os
import sys

import dnf
import dnf.conf
import dnf.exceptions
import dnf.repo
import hawkey
import rpm


def configuration(request):
    """A configuration that knows nothing of the host's."""
    conf = dnf.conf.Conf()
    for name, path in [
        ("installroot", "root"),
        ("cachedir", "cache"),
        ("persistdir", "persist"),
        ("logdir", "log"),
    ]:
        folder = os.path.join(request["scratch"], path)
        os.makedirs(folder, exist_ok=True)
        setattr(conf, name, folder)
    conf.reposdir = []
    conf.plugins = False
    conf.install_weak_deps = False
    conf.best = True
    conf.assumeyes = True
    conf.gpgcheck = False  # Nothing is installed here; what is pinned is checked when it is.
    conf.module_platform_id = request["module_platform"] or "platform:none"
    conf.substitutions["arch"] = request["arch"]
    conf.substitutions["basearch"] = rpm_basearch(request["arch"])
    conf.substitutions["releasever"] = "1"
    return conf


def rpm_basearch(arch):
    """The base architecture of an architecture, as dnf's own tables have it."""
    import dnf.rpm

    return dnf.rpm.basearch(arch)


def pinned(package):
    """What a pin needs to know of a package."""
    kind, digest = package.chksum
    return {
        "name": package.name,
        "epoch": package.epoch,
        "version": package.version,
        "release": package.release,
        "arch": package.arch,
        "repository": package.reponame,
        "href": package.location,
        "base": package.baseurl or None,
        "checksum": hawkey.chksum_name(kind),
        "digest": digest.hex(),
        "size": package.downloadsize,
        "header_end": package.hdr_end,
    }


def there_is(base, specs):
    """For each `name-version` that no repository has: the newest version that there is of the name."""
    lines = []
    for spec in specs:
        forms = hawkey.Subject(spec).get_nevra_possibilities(forms=[hawkey.FORM_NEVR, hawkey.FORM_NEV])
        for name in dict.fromkeys(form.name for form in forms if form.version):
            found = base.sack.query().filterm(name=name).latest()
            lines += [f"\nthe newest {name} there is: {one.version}-{one.release}" for one in list(found)[:1]]
    return "".join(lines)


def solve(base, goal):
    """The packages of a goal, and what dnf says where there are none."""
    base.reset(goal=True)
    try:
        base.install_specs(goal["install"])
        base.resolve()
    except dnf.exceptions.MarkingErrors as error:
        return None, str(error) + there_is(base, error.no_match_pkg_specs)
    except dnf.exceptions.DepsolveError as error:
        return None, str(error)
    found = [] if base.transaction is None else base.transaction.install_set
    return sorted((pinned(one) for one in found), key=lambda one: json.dumps(one, sort_keys=True)), None


def main():
    request = json.load(sys.stdin)
    # dnf speaks to standard output here and there; the answer has it alone.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    rpm.addMacro("_dbpath", "/var/lib/rpm")
    base = dnf.Base(configuration(request))
    for one in request["repositories"]:
        repository = dnf.repo.Repo(one["id"], base.conf)
        repository.baseurl = ["file://" + one["folder"]]
        repository.skip_if_unavailable = False
        base.repos.add(repository)
    try:
        base.fill_sack(load_system_repo=False)
    except Exception as error:  # libdnf and librepo have classes of their own for what is wrong with metadata.
        json.dump({"goals": [], "problems": [], "unreadable": str(error)}, answer)
        answer.close()
        return
    goals, problems = [], []
    for goal in request["goals"]:
        packages, problem = solve(base, goal)
        if problem is None:
            goals.append({"name": goal["name"], "packages": packages})
        else:
            problems.append({"goal": goal["name"], "text": problem})
    json.dump({"goals": goals, "problems": problems}, answer)
    answer.close()


main()
