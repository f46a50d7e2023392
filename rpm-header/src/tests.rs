//! Sound headers are read, and each way to be unsound is refused by its name.

use super::Headers;

/// A header of these entries and their data, with a region around them.
fn header(region: u32, entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
    let length = 0_u32.wrapping_sub((entries.len() as u32 + 1) * 16);
    let mut data = data.to_vec();
    let entries = [&[[region, 7, data.len() as u32, 16]], entries].concat();
    for number in [region, 7, length, 16] {
        data.extend(number.to_be_bytes());
    }
    let mut bytes = vec![0x8e, 0xad, 0xe8, 0x01, 0, 0, 0, 0];
    bytes.extend((entries.len() as u32).to_be_bytes());
    bytes.extend((data.len() as u32).to_be_bytes());
    for number in entries.iter().flatten() {
        bytes.extend(number.to_be_bytes());
    }
    bytes.extend(&data);
    bytes
}

fn main(entries: &[[u32; 4]], data: &[u8]) -> Vec<u8> {
    header(63, entries, data)
}

fn file(main: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0xed, 0xab, 0xee, 0xdb, 3];
    bytes.resize(96, 0);
    bytes[79] = 5;
    bytes.extend(header(62, &[[1000, 4, 0, 1]], &[0, 0, 1, 2]));
    bytes.extend([0; 4]);
    bytes.extend(main);
    bytes.extend(b"payload");
    bytes
}

fn read(main: &[u8]) -> Headers {
    Headers::read(&mut file(main).as_slice()).unwrap()
}

fn problem(bytes: &[u8]) -> String {
    match Headers::read(&mut &bytes[..]) {
        Ok(_) => panic!("read"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn values_and_the_place_of_the_payload() {
    let header = main(
        &[[1085, 8, 1, 2], [5, 3, 8, 2]],
        b"xone\0\xe9\0\0\x01\0\0\x02",
    );
    let bytes = file(&header);
    let mut source = bytes.as_slice();
    let headers = Headers::read(&mut source).unwrap();
    assert_eq!(source, b"payload");
    assert_eq!(headers.bytes()[headers.main()], header);
    assert_eq!(headers.texts(1085).unwrap(), [&b"one"[..], b"\xe9"]);
    assert_eq!(headers.text(1085).unwrap(), Some(&b"one"[..]));
    assert_eq!(headers.texts(1).unwrap(), [] as [&[u8]; 0]);
    assert_eq!(headers.numbers(5).unwrap(), [0x100, 2]);
    assert_eq!(headers.signature_number(1000).unwrap(), Some(0x102));
    assert!(headers.number(1085).unwrap_err().contains("not a number"));
    assert!(headers.text(5).unwrap_err().contains("not a string"));
}

#[test]
fn entries_that_leave_the_data_are_refused() {
    for entry in [
        [1000, 7, 4, 21],
        [1000, 3, 0, 0x4000],
        [1000, 4, 0xffff_fff0, 1],
        [1000, 4, 0x7fff_fffc, 1],
        [1000, 6, 0xffff_ffff, 1],
        [1000, 7, 25, 0],
    ] {
        let problem = problem(&file(&main(&[entry], b"abcdefgh")));
        assert!(problem.contains("points outside"), "{entry:?}: {problem}");
    }
    for (entry, expected) in [
        ([1000, 6, 0, 2], "a single string with a count"),
        ([1000, 8, 0, 30], "not terminated"),
        ([1000, 17, 0, 1], "unknown type"),
        ([1000, 4, 2, 1], "not aligned"),
        ([1000, 5, 0, u32::MAX], "values"),
        ([1000, 0, 0, u32::MAX], "values"),
        ([63, 7, 0, 1], "in the index twice"),
    ] {
        let problem = problem(&file(&main(&[entry], b"abcdefgh")));
        assert!(problem.contains(expected), "{entry:?}: {problem}");
    }
}

/// A hundred tags over the same data: each takes as much memory as all of it.
#[test]
fn tags_that_share_their_data_are_refused() {
    let entries: Vec<[u32; 4]> = (0..100).map(|n| [2000 + n, 8, 0, 4000]).collect();
    let text = problem(&file(&main(&entries, &[0; 4000])));
    assert!(text.contains("share their data"), "{text}");
    let text = problem(&file(&main(&[[1, 6, 0, 1], [2, 6, 2, 1]], b"abc\0")));
    assert!(text.contains("share their data"), "{text}");
    // Side by side is sound, in whichever order.
    let headers = read(&main(&[[1, 6, 4, 1], [2, 6, 0, 1]], b"abc\0d\0"));
    assert_eq!(headers.text(1).unwrap(), Some(&b"d"[..]));
}

/// Paths are put together of a folder and a name: a few bytes for each file, and a folder as long as the rest.
#[test]
fn files_whose_paths_are_out_of_proportion_are_refused() {
    let files: u32 = 20_000;
    let mut data = vec![b'd'; 20_000];
    data.push(0);
    data.resize(data.len().next_multiple_of(4), 0);
    let at = data.len() as u32;
    data.extend(vec![0; files as usize * 4]);
    let entries = [[1116, 4, at, files], [1118, 8, 0, 1]];
    let text = problem(&file(&main(&entries, &data)));
    assert!(text.contains("paths of its files"), "{text}");
    let text = problem(&file(&main(
        &[[1116, 4, 0, 1], [1118, 8, 4, 1]],
        &[0, 0, 0, 1, 0],
    )));
    assert!(text.contains("unknown folder"), "{text}");
}

#[test]
fn a_header_without_its_region_is_refused() {
    let sound = main(&[[1000, 4, 0, 1]], &[0; 4]);
    read(&sound);
    // The region's tag, its offset, and its trailer's length of the index.
    for at in [19, 27, sound.len() - 5] {
        let mut changed = sound.clone();
        changed[at] ^= 4;
        let problem = problem(&file(&changed));
        assert!(problem.contains("region"), "byte {at}: {problem}");
    }
}

#[test]
fn claims_cuts_and_other_files_are_refused() {
    let sound = main(&[[1000, 4, 0, 1]], &[0; 4]);
    for at in [8, 12] {
        let mut huge = sound.clone();
        huge[at..at + 4].copy_from_slice(&u32::MAX.to_be_bytes());
        assert!(problem(&file(&huge)).contains("claims"));
    }
    let mut none = sound.clone();
    none[8..12].copy_from_slice(&[0; 4]);
    assert!(problem(&file(&none)).contains("claims 0 entries"));
    let whole = file(&sound);
    for length in 0..whole.len() - b"payload".len() {
        assert!(
            problem(&whole[..length]).contains("ends inside"),
            "{length}"
        );
    }
    assert!(problem(&[7; 400]).contains("like an RPM"));
    let mut lead = whole.clone();
    lead[79] = 0;
    assert!(problem(&lead).contains("lead"));
    let mut magic = whole;
    magic[96] = 0;
    assert!(problem(&magic).contains("no magic number"));
}
