//! Lists in pages: all of them as of one moment, or none.

use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::transport::{Answer, Call, Fault};
use crate::{JobManager, limits};

/// A whole list.
pub(crate) struct List<T> {
    pub(crate) items: Vec<T>,
    /// The revision as of which it is true.
    pub(crate) version: String,
}

/// One page.
#[derive(Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(crate) struct Page<T> {
    #[serde(default)]
    pub(crate) metadata: PageMeta,
    // A server may write an empty list as null.
    items: Option<Vec<T>>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct PageMeta {
    resource_version: Option<String>,
    #[serde(rename = "continue")]
    continue_token: Option<String>,
}

/// What comes while a list is read.
pub(crate) enum Step<T> {
    /// It begins: what came before counts no more.
    Begin,
    /// Some of it.
    Page(Vec<T>),
}

impl<T> Page<T> {
    /// What is on it, and the token of the next one.
    pub(crate) fn into_parts(self) -> (Vec<T>, Option<String>) {
        let token = self.metadata.continue_token.filter(|token| !token.is_empty());
        (self.items.unwrap_or_default(), token)
    }
}

impl JobManager {
    /// Every object of a collection that the server selects.
    pub(crate) async fn selected<T: DeserializeOwned>(
        &self,
        path: &str,
        kind: &str,
        selector: &str,
    ) -> Result<Vec<T>, Fault> {
        self.all_of(path, Some((kind, selector)), |_| true).await.map(|list| list.items)
    }

    /// Every object of a collection that is kept. When the pages expire while they are read, from the first again.
    pub(crate) async fn all_of<T: DeserializeOwned>(
        &self,
        path: &str,
        selector: Option<(&str, &str)>,
        keeps: impl Fn(&T) -> bool,
    ) -> Result<List<T>, Fault> {
        let mut items = Vec::new();
        let take = |step| match step {
            Step::Begin => items = Vec::new(),
            Step::Page(page) => items.extend(Vec::into_iter(page).filter(&keeps)),
        };
        let version = self.each_of(path, selector, take).await?;
        Ok(List { items, version })
    }

    /// Every object of a collection, page by page: no more than a page is held. When the pages expire while they are
    /// read, from the first again. The revision as of which it is true.
    pub(crate) async fn each_of<T: DeserializeOwned>(
        &self,
        path: &str,
        selector: Option<(&str, &str)>,
        take: impl FnMut(Step<T>),
    ) -> Result<String, Fault> {
        let call = Call::get(path);
        let call = match selector {
            Some((kind, text)) => call.query(kind, text),
            None => call,
        };
        self.each_of_call(call, take).await
    }

    /// The same, of the collection that a call reads.
    pub(crate) async fn each_of_call<T: DeserializeOwned>(
        &self,
        of: Call,
        mut take: impl FnMut(Step<T>),
    ) -> Result<String, Fault> {
        let (mut token, mut restarts) = (None::<String>, 0);
        take(Step::Begin);
        for _ in 0..limits::PAGES {
            let limit = limits::PAGE.to_string();
            let call = of.clone().query("limit", &limit).query_if("continue", token.as_deref());
            let page: Page<T> = match self.ask(call).await {
                Ok(Answer { value, .. }) => value,
                Err(fault) if fault.is_expired() && token.is_some() && restarts < limits::RELISTS => {
                    token = None;
                    take(Step::Begin);
                    restarts += 1;
                    continue;
                }
                Err(fault) => return Err(fault),
            };
            let version = page.metadata.resource_version.clone().unwrap_or_default();
            let (page, next) = page.into_parts();
            take(Step::Page(page));
            if next.is_none() {
                return Ok(version);
            }
            token = next;
        }
        let most = limits::PAGES * limits::PAGE as usize;
        Err(Fault { code: 507, ..Fault::silent(format!("{} has more than {most} objects", of.path())) })
    }
}
