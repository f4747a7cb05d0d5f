namespace Hull.Cli.Verbs;

/// <summary>Text in aligned columns. Control characters in cells (names come from other people) are made visible.</summary>
public sealed class Table(params string[] headers)
{
    private readonly List<string[]> rows = [];

    public void Add(params string[] cells) => rows.Add(cells.Select(Clean).ToArray());

    public void Write(TextWriter writer, bool withHeaders = true)
    {
        var widths = headers.Select(h => h.Length).ToArray();
        foreach (var row in rows)
        {
            for (var i = 0; i < row.Length && i < widths.Length; i++) widths[i] = Math.Max(widths[i], row[i].Length);
        }

        if (withHeaders && headers.Length > 0) WriteRow(writer, headers, widths);
        foreach (var row in rows) WriteRow(writer, row, widths);
    }

    private static void WriteRow(TextWriter writer, string[] cells, int[] widths)
    {
        for (var i = 0; i < cells.Length; i++)
        {
            var last = i == cells.Length - 1;
            writer.Write(last ? cells[i] : cells[i].PadRight(i < widths.Length ? widths[i] : 0));
            if (!last) writer.Write("   ");
        }

        writer.WriteLine();
    }

    /// <summary>Keeps a cell on its line and free of terminal escapes.</summary>
    public static string Clean(string cell)
    {
        foreach (var c in cell)
        {
            if (char.IsControl(c)) return new string(cell.Select(x => char.IsControl(x) ? '?' : x).ToArray());
        }

        return cell;
    }
}
