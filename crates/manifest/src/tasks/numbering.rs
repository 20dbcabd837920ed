//! What a job's tasks are called: an index is Kubernetes' word for one, a number its submitter's.

use k8s_openapi::api::batch::v1::Job;

use crate::TaskMap;

/// From the indexes of a Job to the numbers of its tasks, and back. Of a Job that is no array of ours the two are one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Numbering {
    map: Option<TaskMap>,
    /// The map's numbers, by index.
    numbers: Vec<u32>,
}

impl Numbering {
    /// That of a Job.
    pub fn of(job: &Job) -> Numbering {
        let map = TaskMap::of(job);
        // Numbers that are the indexes need no list.
        let listed = map.as_ref().filter(|map| !map.numbers.are_indexes());
        let numbers = listed.map(|map| map.numbers.iter().collect()).unwrap_or_default();
        Numbering { map, numbers }
    }

    /// Whether the job is an array: a task can run again under its number in another job.
    pub fn keeps_numbers(&self) -> bool {
        self.map.is_some()
    }

    /// What the values of the tasks are called.
    pub fn names(&self) -> &[String] {
        self.map.as_ref().map_or(&[], |map| &map.names)
    }

    /// The ConfigMap that holds the tasks' values, if there is one.
    pub fn config_map(&self) -> Option<&str> {
        self.map.as_ref()?.config_map.as_deref()
    }

    /// The number of an index.
    pub fn number(&self, index: u32) -> u32 {
        let place = usize::try_from(index).unwrap_or(usize::MAX);
        self.numbers.get(place).copied().unwrap_or(index)
    }

    /// The index of a number, if it is one.
    pub fn index(&self, number: u32) -> Option<u32> {
        match &self.map {
            Some(map) => map.index(number),
            None => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::marks;

    #[test]
    fn an_arrays_numbers_are_its_users_and_any_other_jobs_its_indexes() {
        let mut job = Job::default();
        assert_eq!((Numbering::of(&job).number(3), Numbering::of(&job).index(3)), (3, Some(3)));
        let map = r#"{"names":["item"],"numbers":"5,7-9","count":4,"configMap":"fit-tasks"}"#;
        job.metadata.annotations = Some([(marks::TASKS.to_owned(), map.to_owned())].into());
        let numbering = Numbering::of(&job);
        assert_eq!((0..4).map(|index| numbering.number(index)).collect::<Vec<_>>(), [5, 7, 8, 9]);
        assert_eq!((numbering.index(9), numbering.index(6)), (Some(3), None));
        assert_eq!(
            (numbering.names(), numbering.config_map()),
            (&["item".to_owned()][..], Some("fit-tasks"))
        );
    }
}
