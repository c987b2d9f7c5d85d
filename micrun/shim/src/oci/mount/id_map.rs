//! The mapping of users and groups that a mount option asks for, or a pod.

/// Which owner is seen as which, as lines of `uid_map` and `gid_map` (`user_namespaces(7)`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IdMap {
    /// `CONTAINER HOST SIZE`, a range a line.
    pub users: String,
    /// The same of groups.
    pub groups: String,
}

impl IdMap {
    /// The line for one range.
    pub(crate) fn line(container: u32, host: u32, size: u32) -> String {
        format!("{container} {host} {size}\n")
    }

    /// Whether it maps no users or no groups.
    pub(crate) fn is_empty(&self) -> bool {
        self.users.is_empty() || self.groups.is_empty()
    }

    /// Reads two lists `CONTAINER:HOST:SIZE,...`; gives the reason when they are none.
    pub(super) fn parse(users: &str, groups: &str) -> Result<Self, String> {
        Ok(Self { users: ranges(users)?, groups: ranges(groups)? })
    }
}

fn ranges(list: &str) -> Result<String, String> {
    let ranges = list.split(',').map(|range| {
        let numbers: Option<Vec<u32>> = range.split(':').map(|number| number.parse().ok()).collect();
        match numbers.as_deref() {
            Some([container, host, size]) => Ok(IdMap::line(*container, *host, *size)),
            _ => Err(format!("`{range}` is not an id mapping of the form CONTAINER:HOST:SIZE")),
        }
    });
    ranges.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_become_lines() {
        let map = IdMap::parse("0:100000:1000,1000:200000:1", "0:4294967294:1").unwrap();
        assert_eq!(map.users, "0 100000 1000\n1000 200000 1\n");
        assert_eq!(map.groups, "0 4294967294 1\n");
    }

    #[test]
    fn anything_else_is_no_mapping() {
        for list in ["", "0", "0:1", "0:1:2:3", "0:-1:2", "0:1:x", "0:1:2,", "0:4294967296:1", "0 1 2"] {
            assert!(IdMap::parse(list, "0:0:1").unwrap_err().contains("CONTAINER:HOST:SIZE"), "{list}");
        }
    }
}
