//! Machines with GPUs of all sorts, as their directories tell of them.

use serde_json::json;

use super::*;

/// A machine with these files.
fn machine(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().expect("a temporary directory");
    for (name, text) in files {
        let path = root.path().join(name);
        std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
        std::fs::write(path, text).expect("written");
    }
    root
}

fn ids(gpus: &Gpus, resource: &str) -> Vec<String> {
    gpus.get(resource).into_iter().flatten().map(|gpu| gpu.id.clone()).collect()
}

const INFORMATION: &str = "Model: \t\t NVIDIA A30\nIRQ:   \t\t 130\nGPU UUID: \t GPU-5a4f1c52-0000-1111-2222-333344445555\n\
                           Bus Type: \t PCIe\nDevice Minor: \t 0\nGPU Excluded:\t No\n";

#[test]
fn machine_without_gpus_has_none() {
    let root =
        machine(&[("dev/null", ""), ("dev/nvidiactl", ""), ("dev/dri/renderD128", ""), ("proc/cpuinfo", "")]);
    assert!(find(root.path()).is_empty());
    assert!(find(Path::new("/nonexistent")).is_empty());
}

#[test]
fn driver_of_nvidia_tells_addresses_and_names() {
    let second = INFORMATION.replace("GPU-5a4f", "GPU-9b9b").replace("Minor: \t 0", "Minor: \t 1");
    let root = machine(&[
        ("proc/driver/nvidia/gpus/0000:5e:00.0/information", &second),
        ("proc/driver/nvidia/gpus/0000:3b:00.0/information", INFORMATION),
        ("dev/nvidia0", ""),
        ("dev/nvidia1", ""),
        ("dev/nvidiactl", ""),
    ]);
    let found = find(root.path());
    assert_eq!(ids(&found, NVIDIA), ["0000:3b:00.0", "0000:5e:00.0"]);
    assert_eq!(found[NVIDIA][0].uuid.as_deref(), Some("GPU-5a4f1c52-0000-1111-2222-333344445555"));
    assert!(found[NVIDIA][1].uuid.as_deref().is_some_and(|uuid| uuid.starts_with("GPU-9b9b")));
}

#[test]
fn gpu_that_cannot_be_opened_or_is_excluded_does_not_count_and_one_that_sleeps_has_no_name() {
    let asleep = INFORMATION
        .replace("GPU-5a4f1c52-0000-1111-2222-333344445555", "GPU-????????-????-????-????-????????????");
    let root = machine(&[
        ("proc/driver/nvidia/gpus/0000:01:00.0/information", &asleep),
        (
            "proc/driver/nvidia/gpus/0000:02:00.0/information",
            &INFORMATION.replace("Minor: \t 0", "Minor: \t 1"),
        ),
        (
            "proc/driver/nvidia/gpus/0000:03:00.0/information",
            &INFORMATION.replace("Excluded:\t No", "Excluded:\t Yes"),
        ),
        ("dev/nvidia0", ""),
    ]);
    assert_eq!(find(root.path())[NVIDIA], [Gpu { id: "0000:01:00.0".into(), uuid: None, number: 0 }]);
}

#[test]
fn where_only_the_files_are_they_count_by_number() {
    let files =
        ["dev/nvidia10", "dev/nvidia2", "dev/nvidia-uvm", "dev/nvidiactl", "dev/nvidia-caps/nvidia-cap1"];
    let root = machine(&files.map(|file| (file, "")));
    assert_eq!(ids(&find(root.path()), NVIDIA), ["nvidia2", "nvidia10"]);
}

#[test]
fn gpus_of_amd_are_the_compute_nodes_with_a_file() {
    let node = |number: u32, gpu: &str, minor: u32| {
        let place = format!("sys/class/kfd/kfd/topology/nodes/{number}");
        [
            (format!("{place}/gpu_id"), format!("{gpu}\n")),
            (
                format!("{place}/properties"),
                format!("cpu_cores_count 0\nsimd_count 440\ndrm_render_minor {minor}\n"),
            ),
        ]
    };
    let files: Vec<(String, String)> =
        [node(0, "0", 0), node(10, "52128", 130), node(2, "9113", 129), node(3, "777", 131)].concat();
    let mut files: Vec<(&str, &str)> =
        files.iter().map(|(name, text)| (name.as_str(), text.as_str())).collect();
    files.extend([("dev/dri/renderD129", ""), ("dev/dri/renderD130", ""), ("dev/dri/card0", "")]);
    assert!(find(machine(&files).path()).is_empty(), "without /dev/kfd nothing computes");
    files.push(("dev/kfd", ""));
    assert_eq!(ids(&find(machine(&files).path()), AMD), ["renderD129", "renderD130"]);
}

#[test]
fn what_is_declared_beyond_what_was_found_has_numbers() {
    let found = Gpus::from([(NVIDIA, vec![Gpu { id: "0000:3b:00.0".into(), uuid: None, number: 0 }])]);
    let all = devices(
        &json!({"cpu": "8", NVIDIA: "3", AMD: 2, "example.com/tokens": "100000", "example.com/half": "1500m"}),
        &found,
    );
    assert_eq!(all.of(NVIDIA), ["0000:3b:00.0", "1", "2"]);
    assert_eq!(all.of(AMD), ["0", "1"]);
    assert!(
        all.of("example.com/tokens").is_empty()
            && all.of("cpu").is_empty()
            && all.of("example.com/half").is_empty()
    );
    assert!(devices(&json!({NVIDIA: "0"}), &found).is_empty(), "nobody gets what was taken away");
}

#[test]
fn processes_are_told_by_name_or_by_number_in_the_order_of_the_bus() {
    let pairs = |list: Vec<(&'static str, String)>| {
        list.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        pairs(variables(NVIDIA, "GPU-b".into(), true)),
        "CUDA_VISIBLE_DEVICES=GPU-b NVIDIA_VISIBLE_DEVICES=GPU-b"
    );
    assert_eq!(
        pairs(variables(NVIDIA, "0,2".into(), false)),
        "CUDA_VISIBLE_DEVICES=0,2 NVIDIA_VISIBLE_DEVICES=0,2 CUDA_DEVICE_ORDER=PCI_BUS_ID"
    );
    assert_eq!(
        pairs(variables(NVIDIA, String::new(), true)),
        "CUDA_VISIBLE_DEVICES= NVIDIA_VISIBLE_DEVICES=void"
    );
    assert_eq!(pairs(variables(AMD, "0,1".into(), false)), "ROCR_VISIBLE_DEVICES=0,1");
}

/// Machine with this many GPUs of NVIDIA's, each with a name.
fn several(count: usize) -> Gpus {
    let gpu = |number: usize| Gpu {
        id: format!("0000:{number:02}:00.0"),
        uuid: Some(format!("GPU-{number}{number}-x")),
        number,
    };
    Gpus::from([(NVIDIA, (0..count).map(gpu).collect())])
}

fn told(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

#[test]
fn engine_in_an_allocation_has_the_devices_of_the_allocation() {
    let numbers = |text: &str| {
        let (own, confined) = allotted(several(4), &told(&[("CUDA_VISIBLE_DEVICES", text)]));
        assert!(confined.contains(NVIDIA) && !confined.contains(AMD));
        own.get(NVIDIA).into_iter().flatten().map(|gpu| gpu.number).collect::<Vec<_>>()
    };
    assert_eq!(numbers("2,3"), [2, 3]);
    assert_eq!(numbers(" 3 , GPU-1"), [3, 1], "by name or the beginning of one");
    for none in ["", "-1", "NoDevFiles", "none", "GPU-", "MIG-0"] {
        assert_eq!(numbers(none), [0; 0], "{none:?}");
    }
    assert_eq!(numbers("1,7,2"), [1], "those after one that is not there do not count");
    assert_eq!(numbers("1,1,2"), [1]);
    let (all, confined) = allotted(several(4), &told(&[]));
    assert!(all == several(4) && confined.is_empty());
}

#[test]
fn what_hip_says_counts_among_what_rocr_has_left() {
    let gpu = |number: usize| Gpu { id: format!("renderD{}", 128 + number), uuid: None, number };
    let four = || Gpus::from([(AMD, (0..4).map(gpu).collect())]);
    let pairs = [("ROCR_VISIBLE_DEVICES", "1,2,3"), ("HIP_VISIBLE_DEVICES", "0,2")];
    for (pairs, expected) in [(&pairs[..], &[1, 3][..]), (&pairs[1..], &[0, 2]), (&pairs[..1], &[1, 2, 3])] {
        let (own, confined) = allotted(four(), &told(pairs));
        assert_eq!(own[AMD].iter().map(|gpu| gpu.number).collect::<Vec<_>>(), expected);
        assert!(confined.contains(AMD));
    }
    let (none, confined) = allotted(several(1), &told(&[("ROCR_VISIBLE_DEVICES", "0")]));
    assert!(none == several(1) && confined.contains(AMD), "of what there is not there is nothing");
}

#[test]
fn file_that_nobody_may_open_is_no_gpu() {
    use std::os::unix::fs::PermissionsExt;
    let root = machine(&[("dev/nvidia0", ""), ("dev/nvidia1", "")]);
    let shut = root.path().join("dev/nvidia0");
    std::fs::set_permissions(&shut, std::fs::Permissions::from_mode(0o000)).expect("shut");
    // Root may open what it likes.
    let expected: &[&str] =
        if nix::unistd::geteuid().is_root() { &["nvidia0", "nvidia1"] } else { &["nvidia1"] };
    assert_eq!(ids(&find(root.path()), NVIDIA), expected);
    assert_eq!(find(root.path())[NVIDIA].last().map(|gpu| gpu.number), Some(expected.len() - 1));
}

#[test]
fn devices_of_all_resources_together_are_bounded() {
    let many: serde_json::Map<String, Value> =
        (0..100).map(|number| (format!("a.example/r{number}"), json!("1000"))).collect();
    let mut many = Value::Object(many);
    many[NVIDIA] = json!("2");
    let all = devices(&many, &Gpus::new());
    let listed = (0..100).filter(|number| !all.of(&format!("a.example/r{number}")).is_empty()).count();
    assert_eq!((listed, all.of(NVIDIA).len()), (8, 2));
}
