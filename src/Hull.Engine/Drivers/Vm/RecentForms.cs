namespace Hull.Engine.Drivers.Vm;

/// <summary>Which forms of instances are run again and again, and which of them are worth a template, by their keys.</summary>
/// <param name="most">Templates there may be.</param>
internal sealed class RecentForms(int most, TimeProvider clock)
{
    /// <summary>What is run once only is not worth one.</summary>
    private const int FirstUses = 2;

    /// <summary>Forms of which it is known how often they were run.</summary>
    internal const int MostKnown = 256;

    /// <summary>One that was used as lately makes no room for another, and an instance may still be about to begin from its files.</summary>
    internal static readonly TimeSpan ShortTime = TimeSpan.FromMinutes(1);

    private readonly Lock _gate = new();
    private readonly Dictionary<string, Form> _forms = [];

    /// <summary>Counts a run, and answers whether the form is to have a template.</summary>
    /// <param name="template">Key of the template that its own would be made of.</param>
    /// <param name="ended">The form that has one no more, for this one's sake.</param>
    public bool Use(string key, string template, out string? ended)
    {
        ended = null;
        lock (_gate)
        {
            if (!_forms.TryGetValue(key, out var form))
            {
                if (_forms.Count >= MostKnown) ForgetOldest();
                _forms[key] = form = new Form(template);
            }

            form.UsedAt = clock.GetUtcNow();
            return ++form.Uses >= FirstUses && (form.HasTemplate || (form.HasTemplate = MakeRoom(out ended)));
        }
    }

    /// <summary>Takes the templates from forms that were not used since, or whose are made of the given one; answers which.</summary>
    public IReadOnlyList<string> Drop(DateTimeOffset before, string? template = null)
    {
        lock (_gate)
        {
            var dropped = _forms.Where(form => form.Value.HasTemplate && (form.Value.UsedAt < before || form.Value.Template == template)).Select(form => form.Key).ToList();
            foreach (var key in dropped) _forms[key].HasTemplate = false;
            return dropped;
        }
    }

    private bool MakeRoom(out string? ended)
    {
        ended = null;
        var made = _forms.Where(form => form.Value.HasTemplate).ToList();
        if (made.Count < most) return true;
        var oldest = made.MinBy(form => form.Value.UsedAt);
        if (clock.GetUtcNow() - oldest.Value.UsedAt < ShortTime) return false;
        oldest.Value.HasTemplate = false;
        ended = oldest.Key;
        return true;
    }

    private void ForgetOldest() => _forms.Remove(_forms.Where(form => !form.Value.HasTemplate).MinBy(form => form.Value.UsedAt).Key);

    private sealed class Form(string template)
    {
        public string Template => template;

        public int Uses { get; set; }

        public DateTimeOffset UsedAt { get; set; }

        /// <summary>There is a template of it, or one is being made.</summary>
        public bool HasTemplate { get; set; }
    }
}
