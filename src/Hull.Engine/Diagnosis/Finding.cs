namespace Hull.Engine.Diagnosis;

/// <summary>How bad a finding is.</summary>
public enum FindingLevel
{
    /// <summary>As it should be.</summary>
    Ok,

    /// <summary>Hull works, without something that the message names.</summary>
    Warning,

    /// <summary>Workloads do not run, or not as asked.</summary>
    Error,
}

/// <summary>One thing that was looked at on this machine.</summary>
/// <param name="Area">Such as <c>kernel</c>, <c>cgroups</c> or <c>disk</c>.</param>
/// <param name="Message">What was found.</param>
/// <param name="Remedy">What to do about it; empty where nothing is to be done.</param>
public sealed record Finding(string Area, FindingLevel Level, string Message, string Remedy = "");
