using System.IO.Enumeration;
using Hull.Core;

namespace Hull.Api.Docker.Images;

/// <summary>The <c>reference</c> filter: a name with <c>*</c> and <c>?</c>, matched with and without the tag.</summary>
internal static class ReferencePattern
{
    public static bool Matches(string pattern, ImageReference reference)
    {
        var names = new[] { reference.Familiar, reference.FamiliarName, reference.Canonical, reference.Repository };
        return Array.Exists(names, name => name == pattern || SameSegments(pattern, name) && FileSystemName.MatchesSimpleExpression(pattern, name, ignoreCase: false));
    }

    /// <summary>A star stands for what is between two slashes, never for a slash.</summary>
    private static bool SameSegments(string pattern, string name) => pattern.Count(c => c == '/') == name.Count(c => c == '/');
}
