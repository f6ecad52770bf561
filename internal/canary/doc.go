// Package canary judges a new generation of workers by a share of the requests: whether it
// fails more of them, or takes longer, than the generation that serves. It is pure: it has no
// clock, no processes and no state but figures that it is given, so that a test can give it
// thousands of deploys.
//
// # Who gets a request
//
// A [Deck] deals a share such as 5 % exactly: of each 20 requests in a row one is the new
// generation's, and which one is drawn at random, so that no pattern of the clients' (each
// twentieth request is the report) decides.
//
// # Failures
//
// Requests are dealt at random, so if the new generation is no worse, each failed request had
// the chance q₀ to be one of its: the share s of requests that it got. To be failed it has to
// be worse by a factor, tolerated = 1.5, so that
//
//	q₀ = 1.5 s / (1.5 s + 1 − s)
//
// Of all failures x are the new generation's and y the old one's. The evidence against it is
// the mean, over the factors ρ = 2, 4, 8 … 1024, of the likelihood ratios
//
//	(q/q₀)^x ((1−q)/(1−q₀))^y    with q = ρ q₀ / (ρ q₀ + 1 − q₀)
//
// This is an e-process, a mixture of Wald's sequential probability ratio tests: if the new
// generation is no worse than tolerated, the chance that the evidence ever reaches 1/α is at most
// α, however often it is looked at (Ville's inequality; Ramdas et al., "Game-theoretic
// statistics and safe anytime-valid inference", Statistical Science 38, 2023). So it is looked
// at with each report, and ends the trial as soon as it reaches 1000: α = 0.001 for the whole
// trial. The failures must also be one of a thousand requests at least, since with much traffic
// even what nobody would notice is certain.
//
// What counts as a failure: a response of 5xx, a response that breaks off, a request that is
// over timeout, and the death of a worker, which counts once, whatever it ran.
//
// # Latency
//
// The latency of a request is from when a worker had it until that began to respond: the time
// that a stream or a WebSocket then stays open says nothing. Latencies are counted in buckets
// that grow by the cube root of 1.5. Those of the new generation are divided by 1.5, and all below
// 5 ms count as equal: so noise, and what nobody would notice, cannot be a verdict. Then the two
// are compared by the test of Mann and Whitney, one-sided, with the correction for ties, at the
// level of 0.001, once, at the end; of two latencies, one of each side, that of the new generation
// must also be the larger one in 56 of 100 cases, the "small effect" of Vargha and Delaney. Before that only a new generation that is very much slower
// is sent back: by a factor of 5.06 (1.5⁴) at the level of 10⁻⁶.
//
// The first answers of each worker do not count (see package dispatch), as its caches are cold;
// requests without an answer count with the time for which they have run, if that is more than a
// second, and those whose clients left with the time until then: otherwise a generation that hangs
// would have no latency.
//
// # The tail
//
// A new generation of which one request in twenty takes ten times as long does not fail that test.
// So the slowest requests are looked at by themselves: the tail is the slowest 2 %, 0.5 % and 0.1 %
// of the requests of both sides, each with as many more as are in the same bucket, after the
// latencies of the new generation were divided by 1.5; none below 25 ms is in it. Since requests are
// dealt at random, the number of the new generation's among them has the hypergeometric
// distribution if it is no slower (Fisher's exact test). It is sent back if the chance of so many or
// more is below 0.001, shared by the three, and at least 1.5 times as many of its requests are in
// that tail as of the old one's; before the end, with latencies divided by 5.06, below 10⁻⁶.
//
// That chance holds for requests that are slow independently of each other. Those of one moment may
// have one cause, such as a process that had to wait for its memory. So the window is divided into
// ten to twenty spans, and the same must hold when the two in which the new generation had most of
// the tail count no more than the third.
//
// # The end of the window
//
// With less than 100 answers of the new generation the level cannot be had: then evidence of 20
// is enough, the level of 0.05. If there is less than that, it takes over, and the line says that
// few requests have judged it. With no answer at all it takes over, too, and the line says that
// nothing has judged it: a server at night has to be deployed as well.
package canary
