use super::*;

#[test]
fn best_of_the_branches() {
    // finals of the branches, what the caller gets
    let rows: &[(&[u16], u16)] = &[
        (&[], 480),
        (&[486], 486),
        (&[408, 486], 486),
        (&[486, 408], 486),
        (&[404, 603, 486], 603),
        (&[500, 404], 404),
        (&[503], 500),
        (&[503, 502], 502),
        (&[487, 408], 408),
        (&[401], 403),
        (&[407, 486], 486),
        (&[302], 480),
        (&[302, 486], 486),
        (&[480, 488], 488),
        (&[430], 480),
    ];
    for (finals, expected) in rows {
        let mut context = ResponseContext::default();
        for status in *finals {
            context.add_status(Status(*status));
        }
        assert_eq!(context.best().0, Status(*expected), "finals {finals:?}");
    }
}

#[test]
fn six_hundreds_end_the_search() {
    let mut context = ResponseContext::default();
    context.add_status(Status(486));
    assert!(!context.is_decided());
    context.add_status(Status(600));
    assert!(context.is_decided());
}
