from django.db import migrations


class Migration(migrations.Migration):

    dependencies = [
        ('integrations', '0005_faults_and_deletion'),
    ]

    operations = [
        migrations.AlterModelOptions(
            name='integrationhealth',
            options={'verbose_name': 'health record', 'verbose_name_plural': 'health records'},
        ),
    ]
