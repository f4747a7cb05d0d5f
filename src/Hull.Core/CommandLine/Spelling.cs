namespace Hull.Core.CommandLine;

/// <summary>Finds the word somebody meant.</summary>
public static class Spelling
{
    /// <summary>Levenshtein distance: the fewest single-letter edits from one word to the other.</summary>
    public static int Distance(string from, string to)
    {
        var row = new int[to.Length + 1];
        for (var j = 0; j <= to.Length; j++) row[j] = j;
        for (var i = 1; i <= from.Length; i++)
        {
            var diagonal = row[0];
            row[0] = i;
            for (var j = 1; j <= to.Length; j++)
            {
                var above = row[j];
                var change = diagonal + (from[i - 1] == to[j - 1] ? 0 : 1);
                row[j] = Math.Min(change, Math.Min(row[j - 1], above) + 1);
                diagonal = above;
            }
        }

        return row[to.Length];
    }
}
