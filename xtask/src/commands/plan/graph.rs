//! The build graph as a picture's source: Mermaid, which GitHub and GitLab draw, or DOT for Graphviz.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::cli::GraphFormat;
use crate::ui;

/// A stage in the picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    pub stage: String,
    /// The stages it needs.
    pub needs: Vec<String>,
    /// Where it is; where there is no lock, nobody knows.
    pub stands: Option<Stands>,
    /// How long it took the last time.
    pub took: Option<Duration>,
}

/// Where a stage is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stands {
    /// In the store.
    Cached,
    /// In the shared store.
    Shared,
    /// Nowhere: it would run.
    Runs,
}

impl Stands {
    const ALL: [Self; 3] = [Self::Cached, Self::Shared, Self::Runs];

    const fn name(self) -> &'static str {
        match self {
            Self::Cached => "cached",
            Self::Shared => "shared",
            Self::Runs => "runs",
        }
    }

    /// The colours of its box: of what is in it, and of its line.
    const fn colors(self) -> (&'static str, &'static str) {
        match self {
            Self::Cached => ("#d9ead3", "#38761d"),
            Self::Shared => ("#cfe2f3", "#0b5394"),
            Self::Runs => ("#fff2cc", "#7f6000"),
        }
    }
}

/// The picture's source. What follows from other needs has no arrow of its own.
pub fn picture(nodes: &[Node], format: GraphFormat) -> String {
    match format {
        GraphFormat::Mermaid => mermaid(nodes),
        GraphFormat::Dot => dot(nodes),
    }
}

/// Each stage with what it needs and gets from none of its other needs.
fn arrows(nodes: &[Node]) -> Vec<(&str, &str)> {
    let mut arrows = Vec::new();
    for node in nodes {
        for need in &node.needs {
            let others = node.needs.iter().filter(|other| *other != need);
            let mut behind = BTreeSet::new();
            for other in others {
                reached(nodes, other, &mut behind);
            }
            if !behind.contains(need.as_str()) {
                arrows.push((need.as_str(), node.stage.as_str()));
            }
        }
    }
    arrows
}

/// All that the stage `name` needs, directly or not.
fn reached<'n>(nodes: &'n [Node], name: &str, found: &mut BTreeSet<&'n str>) {
    let node = nodes.iter().find(|node| node.stage == name);
    for need in node.into_iter().flat_map(|node| &node.needs) {
        if found.insert(need) {
            reached(nodes, need, found);
        }
    }
}

fn mermaid(nodes: &[Node]) -> String {
    let id = |stage: &str| stage.replace(['-', '.', '+'], "_");
    let mut text = "flowchart TD\n".to_owned();
    for node in nodes {
        let took = node
            .took
            .map(|took| format!("<br>{}", ui::duration(took)))
            .unwrap_or_default();
        let class = node
            .stands
            .map(|stands| format!(":::{}", stands.name()))
            .unwrap_or_default();
        let (id, stage) = (id(&node.stage), &node.stage);
        text.push_str(&format!("    {id}[\"{stage}{took}\"]{class}\n"));
    }
    for (need, stage) in arrows(nodes) {
        text.push_str(&format!("    {} --> {}\n", id(need), id(stage)));
    }
    let is_known = nodes.iter().any(|node| node.stands.is_some());
    for stands in Stands::ALL.into_iter().filter(|_| is_known) {
        let is_drawn = nodes.iter().any(|node| node.stands == Some(stands));
        // Only with a shared store is something in it.
        if is_drawn || stands != Stands::Shared {
            let (name, (fill, stroke)) = (stands.name(), stands.colors());
            text.push_str(&format!(
                "    classDef {name} fill:{fill},stroke:{stroke},color:#000\n"
            ));
        }
    }
    text
}

fn dot(nodes: &[Node]) -> String {
    let mut text =
        "digraph stages {\n    node [shape=box, style=\"rounded,filled\", fillcolor=white]\n"
            .to_owned();
    for node in nodes {
        let took = node
            .took
            .map(|took| format!("\\n{}", ui::duration(took)))
            .unwrap_or_default();
        let color = node
            .stands
            .map(|stands| format!(", fillcolor=\"{}\"", stands.colors().0))
            .unwrap_or_default();
        let stage = &node.stage;
        text.push_str(&format!(
            "    \"{stage}\" [label=\"{stage}{took}\"{color}]\n"
        ));
    }
    for (need, stage) in arrows(nodes) {
        text.push_str(&format!("    \"{need}\" -> \"{stage}\"\n"));
    }
    text.push_str("}\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nodes() -> Vec<Node> {
        let node = |stage: &str, needs: &[&str], stands, took: Option<u64>| Node {
            stage: stage.to_owned(),
            needs: needs.iter().map(|need| (*need).to_owned()).collect(),
            stands: Some(stands),
            took: took.map(Duration::from_secs),
        };
        vec![
            node("base", &[], Stands::Cached, Some(3)),
            node("kernel-root", &["base"], Stands::Cached, None),
            node("kernel", &["base", "kernel-root"], Stands::Runs, Some(754)),
        ]
    }

    #[test]
    fn a_stage_is_drawn_with_its_time_and_state_and_without_arrows_that_follow() {
        let drawn = picture(&nodes(), GraphFormat::Mermaid);
        let lines: Vec<&str> = drawn.lines().map(str::trim).collect();
        assert_eq!(
            lines[..6],
            [
                "flowchart TD",
                "base[\"base<br>3.0 s\"]:::cached",
                "kernel_root[\"kernel-root\"]:::cached",
                "kernel[\"kernel<br>12 min 34 s\"]:::runs",
                "base --> kernel_root",
                "kernel_root --> kernel",
            ]
        );
        let drawn = picture(&nodes(), GraphFormat::Dot);
        assert!(
            drawn.starts_with("digraph stages {") && drawn.ends_with("}\n"),
            "{drawn}"
        );
        assert!(drawn.contains("\"kernel-root\" -> \"kernel\"\n"), "{drawn}");
        assert!(!drawn.contains("\"base\" -> \"kernel\"\n"), "{drawn}");
        assert!(drawn.contains("label=\"kernel\\n12 min 34 s\""), "{drawn}");
    }

    #[test]
    fn what_is_in_the_shared_store_has_a_colour_of_its_own() {
        let mut nodes = nodes();
        let drawn = picture(&nodes, GraphFormat::Mermaid);
        assert!(!drawn.contains("shared"), "{drawn}");
        nodes[1].stands = Some(Stands::Shared);
        let drawn = picture(&nodes, GraphFormat::Mermaid);
        assert!(
            drawn.contains("kernel_root[\"kernel-root\"]:::shared\n"),
            "{drawn}"
        );
        assert!(
            drawn.contains("classDef shared fill:#cfe2f3,stroke:#0b5394"),
            "{drawn}"
        );
        let drawn = picture(&nodes, GraphFormat::Dot);
        let own = "[label=\"kernel-root\", fillcolor=\"#cfe2f3\"]";
        assert!(drawn.contains(own), "{drawn}");
    }

    #[test]
    fn what_nobody_knows_has_no_colour() {
        let mut nodes = nodes();
        for node in &mut nodes {
            node.stands = None;
        }
        for format in [GraphFormat::Mermaid, GraphFormat::Dot] {
            let drawn = picture(&nodes, format);
            assert!(!drawn.contains("#d9ead3"), "{drawn}");
        }
    }
}
