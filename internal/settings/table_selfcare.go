package settings

// selfCareSettings are those of the workers that look after themselves: docs/selfcare.md.
var selfCareSettings = []Setting{
	{
		Name: "selfcare_dry_run", Section: sectionSelfCare, Added: true,
		Flags: []string{"--selfcare-dry-run"}, Metavar: "STRING", Kind: KindCommaList, Default: []string(nil),
		Choices: selfCareWords,
		Doc: "Policies that only say what they would do: `recycle`, `scale`, `canary`, `quarantine`, or `all` of them. " +
			"The log, the status and the metrics show it; see [selfcare.md](selfcare.md#dry-run).",
	},
}
