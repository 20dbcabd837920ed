//! A batch: tasks that wait for one another, and the decision which of them is submitted next.
//!
//! Knows tasks by their numbers alone; what they run and where their jobs are is its caller's.

/// The order of a batch: for each task the tasks that must succeed before it starts. Without cycles.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Batch {
    needs: Vec<Vec<usize>>,
    /// All tasks, each after those that it needs; otherwise in their own order.
    order: Vec<usize>,
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TaskState {
    /// It has no job.
    Unsent,
    /// Its job was sent, waits, runs, or is ending.
    Active,
    /// It is done.
    Succeeded,
    /// Its job failed, was cancelled, or was deleted before its end.
    Failed,
    /// The cluster did not take its job.
    Refused,
}

/// How much may be done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BatchLimits {
    /// Tasks that may be active at a time.
    pub active: Option<usize>,
    /// Tasks that may still be sent.
    pub sends: Option<usize>,
}

/// What comes next.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BatchPlan {
    /// To be sent now, in this order.
    pub send: Vec<usize>,
    /// They will never start, in their order.
    pub left_out: Vec<LeftOut>,
    /// Tasks that wait for others, for room, or because no more may be sent.
    pub waiting: usize,
    /// Nothing will be sent any more, whatever becomes of what is active.
    pub is_all_sent: bool,
}

/// A task that never starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LeftOut {
    /// The task.
    pub task: usize,
    /// The first of the tasks that it needs, directly or through others, that failed or was refused.
    pub because: usize,
}

/// Tasks that wait for each other: each needs the next one, and the last one the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cycle(pub Vec<usize>);

impl Batch {
    /// The batch in which task `n` needs the tasks `needs[n]`. A number that no task has is passed over.
    ///
    /// # Errors
    /// A [`Cycle`], if there is one.
    pub fn new(mut needs: Vec<Vec<usize>>) -> Result<Batch, Cycle> {
        let count = needs.len();
        for needed in &mut needs {
            needed.retain(|task| *task < count);
            needed.sort_unstable();
            needed.dedup();
        }
        let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); count];
        for (task, needed) in needs.iter().enumerate() {
            needed.iter().for_each(|other| dependents[*other].push(task));
        }
        let mut missing: Vec<usize> = needs.iter().map(Vec::len).collect();
        let mut ready: std::collections::BTreeSet<usize> =
            (0..count).filter(|task| missing[*task] == 0).collect();
        let mut order = Vec::with_capacity(count);
        while let Some(task) = ready.pop_first() {
            order.push(task);
            for dependent in &dependents[task] {
                missing[*dependent] -= 1;
                if missing[*dependent] == 0 {
                    ready.insert(*dependent);
                }
            }
        }
        match (0..count).find(|task| missing[*task] > 0) {
            None => Ok(Batch { needs, order }),
            Some(first) => Err(Cycle(cycle(&needs, &missing, first))),
        }
    }

    /// The tasks that a task needs.
    pub fn needs(&self, task: usize) -> &[usize] {
        self.needs.get(task).map_or(&[], Vec::as_slice)
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether there is no task.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// What comes next. A task without a state is one that was not sent.
    pub fn plan(&self, states: &[TaskState], limits: BatchLimits) -> BatchPlan {
        let state = |task: usize| states.get(task).copied().unwrap_or(TaskState::Unsent);
        let active = (0..self.len()).filter(|task| state(*task) == TaskState::Active).count();
        let room = limits.active.map_or(usize::MAX, |most| most.saturating_sub(active));
        let mut left = room.min(limits.sends.unwrap_or(usize::MAX));
        let mut plan = BatchPlan::default();
        let mut blocked: Vec<Option<usize>> = vec![None; self.len()];
        for &task in &self.order {
            match state(task) {
                TaskState::Failed | TaskState::Refused => blocked[task] = Some(task),
                TaskState::Active | TaskState::Succeeded => {}
                TaskState::Unsent => {
                    blocked[task] = self.needs[task].iter().filter_map(|needed| blocked[*needed]).min();
                    let is_ready =
                        self.needs[task].iter().all(|needed| state(*needed) == TaskState::Succeeded);
                    match blocked[task] {
                        Some(because) => plan.left_out.push(LeftOut { task, because }),
                        None if is_ready && left > 0 => {
                            plan.send.push(task);
                            left -= 1;
                        }
                        None => plan.waiting += 1,
                    }
                }
            }
        }
        plan.left_out.sort_unstable();
        let may_send = limits.sends.is_none_or(|sends| sends > plan.send.len());
        plan.is_all_sent = plan.send.is_empty() && (plan.waiting == 0 || !may_send);
        plan
    }
}

/// A cycle among tasks of which each still misses one.
fn cycle(needs: &[Vec<usize>], missing: &[usize], first: usize) -> Vec<usize> {
    let (mut path, mut at) = (Vec::new(), first);
    let mut places: Vec<Option<usize>> = vec![None; needs.len()];
    loop {
        if let Some(begin) = places[at] {
            return path.split_off(begin);
        }
        places[at] = Some(path.len());
        path.push(at);
        // What misses something needs a task that does, too.
        match needs[at].iter().find(|needed| missing[**needed] > 0) {
            Some(next) => at = *next,
            None => return path,
        }
    }
}

#[cfg(test)]
#[path = "batch_tests.rs"]
mod tests;
