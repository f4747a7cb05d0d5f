using System.Security.Cryptography;

namespace Hull.Engine.Workloads;

/// <summary>Names for workloads nobody named: a quality and a ship or a sea.</summary>
internal static class NameGenerator
{
    private static readonly string[] s_left =
    [
        "able", "agile", "amber", "ample", "ardent", "azure", "bold", "brave", "brisk", "bright", "calm", "candid", "clear", "coral",
        "crisp", "deft", "eager", "early", "even", "fair", "fleet", "fresh", "frosty", "gentle", "glad", "golden", "grand", "hardy",
        "hearty", "ivory", "jolly", "keen", "kind", "late", "level", "light", "lively", "lucid", "mellow", "merry", "mild", "misty",
        "neat", "nimble", "noble", "northern", "patient", "plain", "polar", "proud", "quick", "quiet", "rapid", "ready", "robust",
        "rosy", "silent", "silver", "sleek", "smart", "smooth", "sober", "solid", "southern", "spry", "stable", "steady", "still",
        "stout", "sunny", "sure", "swift", "tidal", "tidy", "trusty", "upbeat", "vivid", "warm", "western", "windy", "wise", "witty",
    ];

    private static readonly string[] s_right =
    [
        "anchor", "barge", "bay", "beacon", "bow", "brig", "buoy", "cape", "clipper", "coast", "compass", "coracle", "cove", "crew",
        "current", "cutter", "deck", "delta", "dinghy", "dock", "dory", "ebb", "ferry", "fjord", "galley", "gale", "harbor", "helm",
        "hold", "inlet", "island", "jetty", "junk", "kayak", "keel", "ketch", "knot", "lagoon", "lantern", "ledger", "lighthouse",
        "lugger", "mast", "mooring", "oar", "ocean", "packet", "pier", "pilot", "port", "prow", "quay", "raft", "reef", "rigging",
        "rudder", "sail", "schooner", "sextant", "shoal", "shore", "skiff", "sloop", "sound", "spar", "stern", "strait", "surf",
        "tender", "tide", "tiller", "trawler", "tug", "vessel", "voyage", "wake", "wave", "wharf", "yacht", "yawl",
    ];

    /// <summary>A name that is not taken.</summary>
    public static string Next(Func<string, bool> taken)
    {
        for (var attempt = 0; ; attempt++)
        {
            var name = $"{Pick(s_left)}_{Pick(s_right)}{(attempt > 2 ? RandomNumberGenerator.GetInt32(1000).ToString(System.Globalization.CultureInfo.InvariantCulture) : "")}";
            if (!taken(name)) return name;
        }
    }

    private static string Pick(string[] words) => words[RandomNumberGenerator.GetInt32(words.Length)];
}
