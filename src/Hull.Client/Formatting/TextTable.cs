using System.Text;

namespace Hull.Client.Formatting;

/// <summary>Columns of plain text, aligned by the widest cell and parted by three blanks, as Docker's tables are.</summary>
public static class TextTable
{
    private const int MinimumWidth = 10;
    private const int Gap = 3;

    /// <summary>Lays out rows of cells. The last column is neither padded nor cut.</summary>
    public static string Format(IEnumerable<IReadOnlyList<string>> rows)
    {
        var all = rows.ToList();
        var widths = new int[all.Count == 0 ? 0 : all.Max(row => row.Count)];
        foreach (var row in all)
        {
            for (var column = 0; column < row.Count - 1; column++) widths[column] = Math.Max(widths[column], Math.Max(row[column].Length, MinimumWidth - Gap));
        }

        var text = new StringBuilder();
        foreach (var row in all)
        {
            for (var column = 0; column < row.Count; column++)
                text.Append(column == row.Count - 1 ? row[column] : row[column].PadRight(widths[column] + Gap));
            text.Append('\n');
        }

        return text.ToString();
    }
}
