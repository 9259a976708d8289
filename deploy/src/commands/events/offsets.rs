//! Where to go on at each node.

use crate::failure::Failure;
use crate::pipeline::Node;

/// Each node with the offset that the user gave for it, empty if none: `NODE=OFFSET`, or `OFFSET` alone where there is
/// one node.
pub(super) fn of(nodes: &[Node], given: &[String]) -> Result<Vec<(Node, String)>, Failure> {
    let mut places: Vec<(Node, String)> = nodes.iter().map(|node| (node.clone(), String::new())).collect();
    for text in given {
        let wrong = |why: String| Failure::new(format!("cannot begin after {text}"), why);
        let (name, offset) = match (text.split_once('='), nodes) {
            (Some((name, offset)), _) => (name, offset),
            (None, [node]) => (node.name.as_str(), text.as_str()),
            (None, _) => {
                let why = "there are several nodes".to_owned();
                return Err(wrong(why).advise("give --after NODE=OFFSET for each"));
            }
        };
        let place = places.iter_mut().find(|(node, _)| node.name == name);
        let (_, known) = place.ok_or_else(|| wrong(format!("there is no node {name}")))?;
        if !known.is_empty() {
            return Err(wrong(format!("{name} has an offset already")));
        }
        offset.clone_into(known);
    }
    Ok(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(names: &[&str], given: &[&str]) -> Result<Vec<String>, String> {
        let node = |name: &&str| Node { name: (*name).into(), address: String::new() };
        let nodes: Vec<Node> = names.iter().map(node).collect();
        let given: Vec<String> = given.iter().map(|&text| text.into()).collect();
        let places = super::of(&nodes, &given).map_err(|failure| failure.to_string())?;
        Ok(places.into_iter().map(|(node, offset)| format!("{} {offset}", node.name)).collect())
    }

    #[test]
    fn each_node_goes_on_where_it_is_told() {
        assert_eq!(of(&["mta"], &[]).unwrap(), ["mta "]);
        assert_eq!(of(&["mta"], &["00"]).unwrap(), ["mta 00"]);
        assert_eq!(of(&["mta", "mta1"], &["mta1=00"]).unwrap(), ["mta ", "mta1 00"]);
    }

    #[test]
    fn what_does_not_fit_the_nodes_is_refused() {
        for (names, given, why) in [
            (&["mta", "mta1"][..], &["00"][..], "there are several nodes"),
            (&["mta"], &["mta2=00"], "there is no node mta2"),
            (&["mta"], &["00", "mta=01"], "mta has an offset already"),
        ] {
            let refused = of(names, given).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
    }
}
